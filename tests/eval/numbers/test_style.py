"""Repetition, diversity and reflection on texts whose answers are known by hand."""

import json
import math
import random
import time
from collections import Counter

import pytest

from data_prep.nano_world import nano_problems, solve_chain
from eval.numbers.style import ngram_repetition, reflection, self_bleu, split_sentences, split_words, style_row


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", []),
        (" \n\n ", []),
        ("One two. Three!  Four? Five", ["one two.", "three!", "four?", "five"]),
        ("pi is 3.14 here\nnext line\r\nlast", ["pi is 3.14 here", "next line", "last"]),
        ("#1 +3 7 10 #2 *4 10 7", ["#1 +3 7 10", "#2 *4 10 7"]),
        ("start #12 -1 3 2 #13", ["start", "#12 -1 3 2", "#13"]),
        ("# 5 #a b", ["# 5 #a b"]),
        ("so x。 thus y", ["so x。", "thus y"]),
    ],
)
def test_sentences(text, sentences):
    assert [" ".join(words) for words in split_sentences(text)] == sentences


def test_an_endless_sentence_is_cut():
    assert [len(words) for words in split_sentences("a " * 150)] == [64, 64, 22]


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("", None),
        ("a b c", None),
        ("a b c d", 0.0),
        ("A b c d a B c d", 1 / 5),  # five 4-grams, abcd twice
        ("x x x x x x x x x x x x x", 0.9),
    ],
)
def test_ngram_repetition(text, rate):
    assert ngram_repetition(split_words(text)) == (None if rate is None else pytest.approx(rate))


def test_self_bleu_by_hand():
    assert self_bleu([]) is None and self_bleu([["a", "b"]]) is None
    assert self_bleu([["a", "b"], ["a", "b"]]) == 1
    assert self_bleu([["a", "b"], ["c", "d"]]) == 0
    # 1-grams 1/2, 2-grams (0 + 1) / (1 + 1), the same length: sqrt(1/2 * 1/2) both ways
    assert self_bleu([["a", "b"], ["a", "c"]]) == pytest.approx(0.5)
    # "a" in "a b": 1, with brevity penalty exp(1 - 2); "a b" in "a": sqrt(1/2 * 1/2)
    assert self_bleu([["a"], ["a", "b"]]) == pytest.approx((math.exp(-1) + 0.5) / 2)


def _plain_self_bleu(sentences):
    """The definition, sentence by sentence, in cubic time."""
    scores = []
    for i, words in enumerate(sentences):
        others = sentences[:i] + sentences[i + 1 :]
        logs = []
        for n in range(1, min(4, len(words)) + 1):
            grams = [Counter(tuple(s[k : k + n]) for k in range(len(s) - n + 1)) for s in (words, *others)]
            hit = sum(min(c, max(other[g] for other in grams[1:])) for g, c in grams[0].items())
            more = int(n > 1)
            logs.append(math.log((hit + more) / (len(words) - n + 1 + more)) if hit + more else -math.inf)
        closest = min(map(len, others), key=lambda length: (abs(length - len(words)), length))
        scores.append(math.exp(sum(logs) / len(logs) + min(0, 1 - closest / len(words))))
    return sum(scores) / len(scores)


@pytest.mark.parametrize(
    ("text", "score"),  # nltk 3.10: the mean of sentence_bleu against all other sentences, SmoothingFunction().method2
    [
        (
            "First we add three and four.\nThat gives seven.\nThe square of seven is forty nine.\n"
            "So the answer is forty nine.",
            0.1961859338115045,
        ),
        (
            "Let me check the sum again. We add three and four and get seven. We add five and seven and get twelve. "
            "Let me check the sum again, it is twelve.",
            0.4164578836988955,
        ),
        ("so it is seven. so it is seven. so it is eight. then it is seven. we are done now.", 0.6632148025904986),
    ],
)
def test_self_bleu_is_that_of_nltk(text, score):
    assert self_bleu(split_sentences(text)) == pytest.approx(score, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_self_bleu_is_its_definition(seed):
    draw = random.Random(seed)
    sentences = [draw.choices("abcde", k=draw.randint(1, 9)) for _ in range(draw.randint(2, 20))]
    assert self_bleu(sentences) == pytest.approx(_plain_self_bleu(sentences))


def test_a_loop_is_alike_and_repeats():
    varied = "First we add three and four.\nThat gives seven.\nThe square of it is forty nine.\nDone."
    loop = "so it is seven. " * 300
    endless = "seven is " * 4000
    assert self_bleu(split_sentences(varied)) < 0.2 < 0.99 < self_bleu(split_sentences(loop))
    assert self_bleu(split_sentences(endless)) > 0.9
    assert ngram_repetition(split_words(varied)) == 0 and ngram_repetition(split_words(loop)) > 0.99


def test_a_long_thought_is_sampled_always_the_same():
    draw = random.Random(0)
    text = "\n".join(" ".join(draw.choices("abcdefghij", k=8)) for _ in range(500))
    assert self_bleu(split_sentences(text)) == self_bleu(split_sentences(text))


@pytest.mark.parametrize(
    ("text", "counts"),  # verification, backtracking, subgoals
    [
        ("", (0, 0, 0)),
        ("#1 +3 7 10 #2 *4 10 7", (0, 0, 0)),
        ("Wait, that's not right. Let me check again.", (1, 2, 0)),
        ("I'll recheck, double-check and re-check; verified, confirming.", (5, 0, 0)),
        ("Plug x = 3 back in to make sure.", (2, 0, 0)),
        ("He wrote a check. The check cleared, his check too.", (0, 0, 0)),
        ("paycheck, checkers, checkbox and a chequered past", (0, 0, 0)),
        ("But wait, no, actually it is 3.", (0, 3, 0)),
        ("**Wait** (wait, x=5\nWait\n", (0, 3, 0)),
        ("The waiter waits; awaiting the bus he must wait 5 minutes. Wait for it. Wait 3 days.", (0, 0, 0)),
        ("It is actually 5, there is no remainder, no. 4 of the list has no factor.", (0, 0, 0)),
        ("No. 5 is the answer. No, it is not. No! No wait.", (0, 3, 0)),
        ("Hold on. Hold on to the rope. That can't be right, I made a sign error; start over.", (0, 4, 0)),
        ("On second thought, let’s go back and reconsider.", (0, 3, 0)),
        ("This is wrong. That was incorrect. Nothing is wrong with it.", (0, 2, 0)),
        ("First, we need to find x. Next we compute y. Finally, add.", (0, 0, 4)),
        ("At first, the next term and the second one are last. He finished first.", (0, 0, 0)),
        ("Step 1: add. step two. Footstep 3, steps 4, step by step", (0, 0, 2)),
        ("Let’s first break the problem down. The next step is clear.", (0, 0, 3)),
        ("FIRST, CHECK. WAIT.", (1, 1, 1)),
    ],
)
def test_reflection(text, counts):
    found = reflection(text)
    assert (found["verification"], found["backtracking"], found["subgoals"]) == counts


def test_the_row_of_a_sweep():
    row = style_row(["Wait, a b c.", "", "Step 1. Check it. " * 2], [])
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    assert (row["thoughts"], row["words"]) == (3, 4)
    assert (row["ngram_repetition"], row["ngram_repetition_thoughts"]) == (pytest.approx((0 + 1 / 5) / 2), 2)
    assert (row["self_bleu"], row["self_bleu_thoughts"]) == (1, 1)
    assert row["reflection"]["backtracking"] == pytest.approx({"per_1000_words": 1000 / 12, "share": 1 / 3})
    assert row["reflection"]["verification"]["per_1000_words"] == pytest.approx(2000 / 12)


@pytest.mark.parametrize("texts", [(), ("", "")])
def test_nothing_thought_is_not_a_number(texts):
    row = style_row(texts, [])
    assert row["ngram_repetition"] is row["self_bleu"] is row["reflection"]["subgoals"]["per_1000_words"] is None
    assert json.dumps(row, allow_nan=False)


def test_the_small_world_is_fast():
    chains = [solve_chain(problem.question)[0] for problem in nano_problems("chain", 256, 0)]
    began = time.process_time()
    row = style_row(chains, [])
    assert time.process_time() - began < 1
    assert row["self_bleu_thoughts"] == 256 and 0 < row["self_bleu"] < 0.9


@pytest.mark.slow
def test_long_thoughts_take_seconds():
    draw = random.Random(0)
    common = (
        "Let me check this, wait so the value of x is then equal to 5. First, we need to find y. No, that gives 12."
    )
    words = common.split() * 8 + [f"w{i}" for i in range(300)]
    texts = [" ".join(draw.choices(words, k=6000)) for _ in range(100)]  # about 8,000 tokens each
    began = time.process_time()
    style_row(texts, [])
    assert time.process_time() - began < 4  # a fifth of 500 thoughts; about 1 s on an idle core
