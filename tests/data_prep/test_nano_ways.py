"""The second embedded world: thoughts read back to their questions, slips at their rate, foreign ways that stay so."""

from __future__ import annotations

import random
from collections import Counter
from functools import cache
from statistics import mean

import pytest

from data_prep.nano_ways import TAUGHT, WAYS, WORDS, draw_way, slip, steps_of, think, ways_traces
from data_prep.nano_world import build_tokenizer, draw_chain, is_held_out, nano_problems, solve_chain
from data_prep.trace import Trace
from tests.data_prep.ways_reading import Reading, read_back

QUESTION = "start 7 #1 +3 #2 *4 #3 -5 ?"
POOL = 1500


@cache
def pool(way: str, answers: str = "any") -> list[Trace]:
    return ways_traces(way, answers, POOL, seed=1)  # type: ignore[arg-type]


def readings(way: str) -> list[Reading]:
    return [read_back(trace.source.removeprefix("ways/"), trace.question, trace.thinking) for trace in pool(way)]


def is_right(trace: Trace) -> bool:
    return trace.answer == f"answer {solve_chain(trace.question)[1]}"


class NeverSlips(random.Random):
    """Blocks of one step, no slip and no filler."""

    def random(self) -> float:
        return 0.99

    def randint(self, a: int, b: int) -> int:
        return a


@pytest.mark.parametrize(
    ("way", "thinking"),
    [
        ("quick", "#1 +3 7 10 #2 *4 10 7 #3 -5 7 2"),
        (
            "careful",
            "#1 +3 7 10 check #1 +3 7 10 = 10 10 ok #2 *4 10 7 check #2 *4 10 7 = 7 7 ok "
            "#3 -5 7 2 check #3 -5 7 2 = 2 2 ok",
        ),
        ("final", "#1 +3 7 10 #2 *4 10 7 #3 -5 7 2 again #1 +3 7 10 #2 *4 10 7 #3 -5 7 2 = 2 2 ok"),
        ("foreign_order", "7 #1 10 +3 10 #2 7 *4 7 #3 2 -5"),
        (
            "foreign_verbose",
            "#1 +1 7 8 +1 8 9 +1 9 10 #2 *2 10 9 *3 9 8 *4 8 7 #3 -1 7 6 -1 6 5 -1 5 4 -1 4 3 -1 3 2",
        ),
    ],
)
def test_each_way_by_hand(way: str, thinking: str) -> None:
    assert think(way, QUESTION, NeverSlips()) == (thinking, "2")  # type: ignore[arg-type]


@pytest.mark.parametrize("way", WAYS)
def test_every_thought_reads_back_to_its_question_and_its_answer(way: str) -> None:
    assert [f"answer {reading.value}" for reading in readings(way)] == [trace.answer for trace in pool(way)]


@pytest.mark.parametrize("way", WAYS)
def test_three_written_results_in_a_hundred_are_wrong(way: str) -> None:
    slips, results = sum(r.slips for r in readings(way)), sum(r.results for r in readings(way))
    assert slips / results == pytest.approx(0.03, abs=4 * (0.03 * 0.97 / results) ** 0.5)


def test_a_slip_gives_each_other_value_equally_often() -> None:
    rng = random.Random(0)
    wrong = Counter(slip(4, rng) for _ in range(100_000))
    wrong.pop(4)
    assert sorted(wrong) == [0, 1, 2, 3, 5, 6, 7, 8, 9, 10]
    assert all(220 < count < 380 for count in wrong.values())  # 300 ± 17


@pytest.mark.parametrize("way", ["careful", "final"])
def test_a_comparison_says_ok_exactly_where_both_results_agree(way: str) -> None:
    said = Counter(comparison for reading in readings(way) for comparison in reading.comparisons)
    assert said.keys() == {(True, "ok"), (False, "no")}


def test_blocks_of_one_to_four_steps_are_equally_likely() -> None:
    # the first blocks of chains that are long enough for any
    blocks = Counter(reading.blocks[0] for reading in readings("careful") if sum(reading.blocks) >= 4)
    share = {length: count / blocks.total() for length, count in blocks.items()}
    assert share == pytest.approx({1: 0.25, 2: 0.25, 3: 0.25, 4: 0.25}, abs=0.05)


def test_three_steps_in_twenty_are_followed_by_a_word_without_meaning() -> None:
    words = Counter(word for trace in pool("quick") for word in trace.thinking.split())
    fillers = [words[word] for word in ("so", "then", "now")]
    steps = sum(reading.results for reading in readings("quick"))
    assert sum(fillers) / steps == pytest.approx(0.15, abs=0.015)
    assert min(fillers) / max(fillers) > 0.8


@pytest.mark.parametrize(
    ("way", "operations", "tokens", "right"),
    # a quick thought is right with chance 0.97^k at least (a later slip may mend an earlier one)
    [("quick", 4, 17, 0.885), ("quick", 12, 50, 0.694), ("careful", 12, 143, 0.96), ("final", 12, 133, 0.86)],
)
def test_length_and_rate_of_right_answers(way: str, operations: int, tokens: int, right: float) -> None:
    rng = random.Random(f"lengths {way}")
    questions = [draw_chain(rng, operations, operations) for _ in range(1500)]
    thoughts = [think(way, question, rng) for question in questions]  # type: ignore[arg-type]
    assert mean(len(thinking.split()) for thinking, _ in thoughts) == pytest.approx(tokens, rel=0.04)
    share = mean(answer == solve_chain(q)[1] for q, (_, answer) in zip(questions, thoughts, strict=True))
    assert share == pytest.approx(right, abs=0.04)


def test_the_world_draws_the_taught_ways_in_their_shares() -> None:
    ways = Counter(trace.source.removeprefix("ways/") for trace in pool("world"))
    assert {way: count / POOL for way, count in ways.items()} == pytest.approx(TAUGHT, abs=0.04)


def test_foreign_ways_are_never_taught() -> None:
    rng = random.Random(0)
    assert {draw_way(rng) for _ in range(1000)} == {"quick", "careful", "final"}
    assert set(WAYS) - TAUGHT.keys() == {"foreign_order", "foreign_verbose"}


@pytest.mark.parametrize("way", ["world", "foreign_order"])
def test_no_trace_asks_a_held_out_question(way: str) -> None:
    assert not any(is_held_out(trace.question) for trace in pool(way))


def test_every_problem_is_held_out() -> None:
    problems = nano_problems("ways", 500, seed=0)
    assert all(is_held_out(problem.question) for problem in problems)
    assert {len(steps_of(problem.question)[1]) for problem in problems} == set(range(2, 17))


def test_gold_answers_of_problems_are_right() -> None:
    assert all(p.answer == solve_chain(p.question)[1] for p in nano_problems("ways", 100, seed=0))


def test_every_way_of_a_seed_answers_the_same_questions() -> None:
    asked = [[trace.question for trace in pool(way)] for way in ("world", "quick", "foreign_verbose")]
    assert asked[0] == asked[1] == asked[2]


def test_right_answers_alone_about_the_same_questions() -> None:
    traces = pool("quick", "right")
    assert all(map(is_right, traces))
    assert [trace.question for trace in traces] == [trace.question for trace in pool("quick")]


def test_wrong_answers_alone() -> None:
    traces = pool("quick", "wrong")
    assert len(traces) == POOL and not any(map(is_right, traces))
    assert all(f"answer {read_back('quick', t.question, t.thinking).value}" == t.answer for t in traces[:200])


def test_shuffled_answers_are_those_of_the_trace_before() -> None:
    questions = [trace.question for trace in ways_traces("quick", "any", 40, seed=3)]
    shuffled = ways_traces("quick", "shuffled", 40, seed=3)
    assert [trace.question for trace in shuffled] == questions
    for question, trace in zip([questions[-1], *questions], shuffled, strict=False):
        assert f"answer {read_back('quick', question, trace.thinking).value}" == trace.answer


def test_a_seed_gives_the_same_traces_again_and_another_gives_others() -> None:
    assert ways_traces("world", "any", 20, seed=5) == ways_traces("world", "any", 20, seed=5)
    assert ways_traces("world", "any", 20, seed=5) != ways_traces("world", "any", 20, seed=6)


def test_the_tokenizer_gives_every_thought_back_in_one_token_a_word() -> None:
    tokenizer = build_tokenizer(WORDS)
    for way in WAYS:
        for trace in pool(way)[:50]:
            ids = tokenizer.encode(trace.thinking, add_special_tokens=False)
            assert tokenizer.decode(ids) == trace.thinking and len(ids) == len(trace.thinking.split())


def test_the_words_of_the_first_world_keep_their_ids() -> None:
    first, second = build_tokenizer().get_vocab(), build_tokenizer(WORDS).get_vocab()
    assert {word: second[word] for word in first} == first and len(second) == len(first) + len(WORDS)
