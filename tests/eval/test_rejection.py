"""Which thoughts become traces, chosen by hand; how hard problems were."""

from __future__ import annotations

from collections import Counter

import pytest

from data_prep.problem import Problem, Suite
from data_prep.trace import Trace
from eval.rejection import VERIFIED, Sample, chosen, problem_row, summary


def sample(number: int, thinking: str, tokens: int, verdict: str = VERIFIED, problem: str = "p") -> Sample:
    return Sample(problem, number, Trace(f"s/{problem}#{number}", "q", thinking, "a", "s"), tokens, 2, verdict)


SAMPLES = [sample(0, "long", 90), sample(1, "wrong", 1, "wrong answer"), sample(2, "short", 5), sample(3, "middle", 9)]


@pytest.mark.parametrize(
    ("keep", "most", "numbers", "left"),
    [
        ("shortest", 1, [2], {"right, but not chosen": 2}),
        ("shortest", 2, [2, 3], {"right, but not chosen": 1}),
        ("all", 1, [0, 2, 3], {}),
        ("random", 5, [0, 2, 3], {}),
    ],
)
def test_the_rule_chooses_among_verified_ones_only(
    keep: str, most: int, numbers: list[int], left: dict[str, int]
) -> None:
    kept, why = chosen(SAMPLES, keep, most, seed=0)
    assert [each.sample for each in kept] == numbers
    assert why == left


def test_the_random_choice_is_fixed_by_its_seed_and_differs_between_problems() -> None:
    def picks(seed: int) -> list[int]:
        return [
            chosen([sample(i, f"t{i}", 1, problem=f"p{p}") for i in range(4)], "random", 1, seed)[0][0].sample
            for p in range(200)
        ]

    assert picks(1) == picks(1) != picks(2)
    assert all(30 <= count <= 70 for count in Counter(picks(1)).values())  # 50 expected, standard deviation 6


def test_equal_texts_are_kept_once() -> None:
    kept, why = chosen([sample(0, "t", 3), sample(1, "t", 3), sample(2, "u", 3)], "all", 1, seed=0)
    assert [each.sample for each in kept] == [0, 2]
    assert why == {"the same as another sample": 1}


def test_the_shortest_of_equals_is_the_first() -> None:
    assert chosen([sample(0, "t", 3), sample(1, "u", 3)], "shortest", 1, seed=0)[0][0].sample == 0


def test_nothing_verified_gives_nothing() -> None:
    assert chosen([sample(0, "t", 3, "looping")], "all", 1, seed=0) == ([], Counter())


def test_the_row_of_a_problem_counts_its_samples() -> None:
    assert problem_row("p", SAMPLES, kept=1) == {
        "problem": "p",
        "samples": 4,
        "correct": 3,
        "pass_rate": 0.75,
        "kept": 1,
        "verdicts": {"verified": 3, "wrong answer": 1},
        "mean_thinking_tokens": 26.2,
    }


def test_the_summary_counts_every_thought_once() -> None:
    rows = [problem_row("p", SAMPLES, 1), problem_row("q", [sample(0, "x", 1, "looping", "q")], 0)]
    said = summary(
        Suite("s", (Problem("p", "?", "1"), Problem("q", "?", "1")), "math"),
        rows,
        Counter({"right, but not chosen": 2}),
    )
    assert "2 problems, 5 thoughts, 3 verified (60.0%), 1 traces kept of 1 problems" in said
    assert "       2  right, but not chosen" in said
    assert "problems by pass rate: 0: 1, up to 1/4: 0, up to 1/2: 0, up to 3/4: 1, below 1: 0, 1: 0" in said
