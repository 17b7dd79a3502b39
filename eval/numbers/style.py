"""How a model's thoughts are written: repetition, diversity and reflection, counted in their text.

Three things change when layers are cut (arXiv 2510.22228): thoughts repeat more, their steps are less diverse
(self-BLEU), and they reflect less. All functions are pure; a word is a text between blanks, in lower case.

Reflection is counted by lexical rules, for English: marks of three of the behaviours of arXiv 2503.01307.

    behaviour     marks anywhere                                     marks where a clause begins (at the start or
                                                                     after . , ; : ! ? ( or a line, "but wait" too)
    verification  check, double-check, recheck, verify, confirm,
                  make sure, plug … back in; not "a / the check"
    backtracking  hold on, that's wrong / not right, that can't be   wait (not "wait 5 minutes", "wait for"),
                  right, made a mistake, try again, start over, go   actually, no (before a comma or full stop)
                  back, scratch that, on second thought, reconsider
    subgoals      step 1, we need to find (compute, show …), the     first, second, third, next, finally (before a
                  first / next step, let's first, break … down       comma or "we", "let's", "find" …)

The rules see words, not intentions: they miss a check that uses none of these and count an idle "let me check". So they
compare models on the same problems but are not an absolute measure. A "Wait" appended by budget forcing is part of the
thought and counts like the model's own: compare sweeps of the same protocol. A recipe may add a model's counts
(`sweep.judge`, `eval.judge`), which are comparable only with those of the same judge.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from statistics import fmean
from typing import Any, Literal

from eval.types import Judgement

Behaviour = Literal["verification", "backtracking", "subgoals"]

NGRAM = 4  # words: of the repetition rate, and the longest n-gram of self-BLEU
LONGEST_SENTENCE = 64  # words; longer ones are cut, so that an endless sentence has others to resemble
MOST_SENTENCES = 32  # per thought in self-BLEU: bounds its cost, and a long thought does not count as more alike
SAMPLE_SEED = 20

SENTENCE_ENDS = frozenset(".!?…。！？")
NUMBER = r"(?:\d+|one|two|three|four|five)"
WORK = r"(?:find|compute|calculate|determine|figure out|show|prove|solve|get|check|consider|simplify|factor|note)"
FAULT = r"(?:wrong|incorrect|not (?:right|correct|possible))"

ANYWHERE: dict[Behaviour, re.Pattern[str]] = {
    "verification": re.compile(
        r"\b(?:(?:double[- ]|cross[- ]|re-?)check|check(?<!\ba check)(?<!\bthe check)(?<!\bhis check))(?:s|ed|ing)?\b"
        r"|\b(?:re-?)?verif(?:y|ies|ied|ying|ication)\b|\bconfirm(?:s|ed|ing)?\b|\bmake sure\b"
        r"|\bplug(?:ging|ged)?(?: \S+){1,3} back in"
    ),
    "backtracking": re.compile(
        rf"\bhold on\b(?! to)|\bth(?:at|is)(?:'s| is| was| seems| looks) {FAULT}\b"
        r"|\b(?:that|this|it) (?:isn't|can't be|cannot be|doesn't (?:seem|look)) (?:right|correct|possible)\b"
        r"|\bmade an? (?:\w+ )?(?:mistake|error)\b|\btry again\b|\bstart over\b|\bscratch that\b"
        r"|\bon second thoughts?\b|\breconsider(?:ing)?\b|\bbacktrack(?:ing)?\b|\blet(?:'s| me| us) (?:go back|redo)\b"
    ),
    "subgoals": re.compile(
        rf"\bstep {NUMBER}\b|\b(?:we|i) (?:\w+ )?(?:need|have|want) (?:\w+ )?to {WORK}\b"
        r"|\b(?:the|our|my) (?:first|next|final) (?:step|goal|task)\b"
        r"|\blet(?:'s| me| us) (?:first|start by|start with|begin by|begin with)\b"
        r"|\bbreak (?:\w+ ){1,2}(?:down|into)\b"
    ),
}
BEFORE = r"\b(?:(?:but|so|oh|and|well|ok|okay|hmm) )?"
OPENING: dict[Behaviour, re.Pattern[str]] = {
    "backtracking": re.compile(
        BEFORE + r"(?:wait\b(?! (?:for|until|times?|\d))|actually\b|no\b(?=,|!|\.(?! ?(?:\d|of\b))| wait\b))"
    ),
    "subgoals": re.compile(
        BEFORE + rf"(?:first|second|third|next|final|last)(?:ly)?(?:,| (?:we|i|let|let's|i'll|we'll|{WORK})\b)"
    ),
}
CLAUSE_BEGINS_AFTER = frozenset(".,;:!?…—(\n")


def split_words(text: str) -> list[str]:
    """The words between blanks, in lower case."""
    return text.lower().split()


def split_sentences(text: str) -> list[list[str]]:
    """The words of each sentence: it ends with a line, with a word ending in . ! ? or …, or before a label like `#3`.

    A sentence of more than 64 words is cut into pieces of 64.
    """
    sentences: list[list[str]] = []
    for line in text.lower().splitlines():
        ended = True
        for word in line.split():
            label = word[0] == "#" and word[1:].isdigit()
            if ended or label or len(sentences[-1]) == LONGEST_SENTENCE:
                sentences.append([])
            sentences[-1].append(word)
            ended = word[-1] in SENTENCE_ENDS
    return sentences


def _ngrams(words: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(n)), strict=False)


def ngram_repetition(words: Sequence[str], n: int = NGRAM) -> float | None:
    """1 - distinct n-grams / n-grams, in [0, 1) (seq-rep-n of arXiv 1908.04319); None for fewer than n words.

    It grows with length even in sound prose, so a thought that loops up to its budget shows strongly.
    """
    count = len(words) - n + 1
    return 1 - len(set(_ngrams(words, n))) / count if count > 0 else None


def self_bleu(sentences: Sequence[Sequence[str]]) -> float | None:
    """How alike the sentences of one thought are, in [0, 1]: 1 if each is repeated; None for fewer than two.

    Self-BLEU (arXiv 1802.01886): the mean BLEU of each sentence against all others. n-grams up to 4 words or the
    sentence's length, add-one smoothing for n > 1 (Lin and Och 2004), brevity penalty to the closest length. If there
    are more than 32 sentences, 32 are drawn, always the same ones.
    """
    if len(sentences) > MOST_SENTENCES:
        drawn = random.Random(SAMPLE_SEED).sample(range(len(sentences)), MOST_SENTENCES)
        sentences = [sentences[i] for i in sorted(drawn)]
    if len(sentences) < 2:
        return None
    # Counts of the other sentences come from the two largest per n-gram (`_two_most`): n sentences cost n, not n².
    tables = [[Counter(_ngrams(sentence, n)) for n in range(1, NGRAM + 1)] for sentence in sentences]
    most = _two_most(tables)
    return fmean(_bleu(i, tables, most, [len(sentence) for sentence in sentences]) for i in range(len(sentences)))


Tables = list[list[Counter[tuple[str, ...]]]]  # counts by sentence and order
Most = dict[tuple[str, ...], tuple[int, int]]  # n-gram of several sentences -> its two largest counts in one of them


def _two_most(tables: Tables) -> Most:
    counters = [counts for by_order in tables for counts in by_order]
    sentences = Counter(chain.from_iterable(counters))
    most: Most = {gram: (0, 0) for gram, number in sentences.items() if number > 1}
    for counts in counters:
        for gram in counts.keys() & most.keys():
            first, second = most[gram]
            most[gram] = (counts[gram], first) if counts[gram] > first else (first, max(second, counts[gram]))
    return most


def _bleu(i: int, tables: Tables, most: Most, lengths: Sequence[int]) -> float:
    logs = []
    for order, counts in enumerate(tables[i][: lengths[i]]):
        matched = 0
        for gram in counts.keys() & most.keys():
            first, second = most[gram]
            # the largest count may be this sentence's own; the others' is then the second largest
            matched += second if counts[gram] == first else counts[gram]
        added = 1 if order else 0
        share = (matched + added) / (lengths[i] - order + added)
        if share == 0:
            return 0.0
        logs.append(math.log(share))
    closest = min((length for j, length in enumerate(lengths) if j != i), key=lambda n: (abs(n - lengths[i]), n))
    return math.exp(fmean(logs) + min(0.0, 1 - closest / lengths[i]))


def reflection(text: str) -> dict[Behaviour, int]:
    """The number of marks of each behaviour in a thought, by the table above."""
    folded = text.lower().replace("’", "'")
    counts = {behaviour: len(pattern.findall(folded)) for behaviour, pattern in ANYWHERE.items()}
    for behaviour, pattern in OPENING.items():
        counts[behaviour] += sum(_opens_a_clause(folded, match.start()) for match in pattern.finditer(folded))
    return counts


def _opens_a_clause(text: str, start: int) -> bool:
    while start > 0 and text[start - 1] in " \t*_\"'":
        start -= 1
    return start == 0 or text[start - 1] in CLAUSE_BEGINS_AFTER


def style_row(texts: Sequence[str], judgements: Sequence[Judgement]) -> dict[str, Any]:
    """The style of the whole thoughts `texts` of one sweep, and a judge's counts for some; JSON-safe, None if no
    thought defines a number.

    Means are over the thoughts that are long enough, and their number is included; `per_1000_words` is marks over all
    words, `share` the share of all thoughts with at least one mark.
    """
    words = [split_words(text) for text in texts]
    rates = [rate for rate in map(ngram_repetition, words) if rate is not None]
    scores = [score for score in (self_bleu(split_sentences(text)) for text in texts) if score is not None]
    total = sum(map(len, words))
    return {
        "thoughts": len(texts),
        "words": total / len(texts) if texts else None,
        "ngram_repetition": fmean(rates) if rates else None,
        "ngram_repetition_thoughts": len(rates),
        "self_bleu": fmean(scores) if scores else None,
        "self_bleu_thoughts": len(scores),
        "reflection": _reflection_row([reflection(text) for text in texts], total),
        "judged": judged_row(judgements),
    }


def judged_row(judgements: Sequence[Judgement]) -> dict[str, Any] | None:
    """The judge's counts for the thoughts that it was sent; None if it was sent none.

    thoughts: those judged; missing: failures, which do not count, and `failure` the first reason; cut: those of which
    it saw a part. Marks are over the words that it saw.
    """
    if not judgements:
        return None
    counts = [judgement.counts for judgement in judgements if judgement.counts is not None]
    words = sum(judgement.words for judgement in judgements if judgement.counts is not None)
    return {
        "judge": judgements[0].judge,
        "thoughts": len(counts),
        "missing": len(judgements) - len(counts),
        "failure": next((judgement.failure for judgement in judgements if judgement.counts is None), None),
        "cut": sum(judgement.cut for judgement in judgements),
        "reflection": _reflection_row(counts, words),
    }


def _reflection_row(counts: Sequence[Mapping[Any, int]], words: int) -> dict[str, Any]:
    """Marks per 1,000 `words`, and the share of thoughts with a mark, by behaviour; one of `counts` per thought."""
    return {
        behaviour: {
            "per_1000_words": 1000 * sum(marks[behaviour] for marks in counts) / words if words else None,
            "share": fmean(marks[behaviour] > 0 for marks in counts) if counts else None,
        }
        for behaviour in ANYWHERE
    }
