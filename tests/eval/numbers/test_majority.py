"""maj@k against all subsets, and by hand."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from eval.numbers.majority import majority_at_k, majority_rows
from eval.numbers.statistics import accuracy_interval
from recipes.errors import UserError


def vote(answers: list[str], correct: list[bool]) -> float:
    """One vote, spelled out: the share of the right candidate among those with most votes."""
    names = ["right" if grade else answer for answer, grade in zip(answers, correct, strict=True)]
    votes = Counter(name for name in names if name)
    leaders = [name for name, count in votes.items() if count == max(votes.values())]
    return ("right" in leaders) / len(leaders) if leaders else 0.0


def test_majority_at_k_against_all_subsets() -> None:
    rng = random.Random(0)
    for _ in range(60):
        n = rng.randint(1, 8)
        answers = [rng.choice(["", "a", "b", "c", "d"]) for _ in range(n)]
        correct = [rng.random() < 0.4 for _ in range(n)]
        expected = [
            np.mean([vote([answers[i] for i in chosen], [correct[i] for i in chosen]) for chosen in subsets])
            for subsets in (list(combinations(range(n), k)) for k in range(1, n + 1))
        ]
        assert majority_at_k(answers, correct, range(1, n + 1)) == pytest.approx(expected), (answers, correct)


def test_right_answers_are_one_candidate_however_they_are_spelled() -> None:
    answers = ["\\frac12", "0.5", "\\dfrac{1}{2}", "1/2", "2", "2", "2"]
    assert majority_at_k(answers, [True] * 4 + [False] * 3, [7]) == [1.0]


def test_majority_at_1_is_the_accuracy_and_a_curve_may_fall() -> None:
    # one right and two equal wrong: of one 1/3, of two a tie in two of three pairs, of three none
    assert majority_at_k(["7", "8", "8"], [True, False, False], [1, 2, 3]) == pytest.approx([1 / 3, 1 / 3, 0])


def test_many_thoughts_are_counted_without_overflow() -> None:
    answers = ["7"] * 600 + ["8"] * 400
    few, many = majority_at_k(answers, [True] * 600 + [False] * 400, [1, 500])
    assert few == pytest.approx(0.6) and many == pytest.approx(1.0)


@pytest.mark.parametrize("k", [0, 4])
def test_a_vote_among_more_thoughts_than_there_are_is_refused(k: int) -> None:
    with pytest.raises(UserError, match="maj@k needs 1 <= k <= samples"):
        majority_at_k(["7"] * 3, [True] * 3, [k])


def test_rows_use_every_problem_that_has_k_thoughts() -> None:
    rows = majority_rows({"a": (["7", "8", "8"], [True, False, False]), "b": (["7"], [True])})
    assert [(row["k"], row["problems"]) for row in rows] == [(1, 2), (2, 1), (3, 1)]
    assert [row["value"] for row in rows] == pytest.approx([2 / 3, 1 / 3, 0])
    assert (rows[0]["low"], rows[0]["high"]) == pytest.approx(accuracy_interval(np.array([1 / 3, 1])))
