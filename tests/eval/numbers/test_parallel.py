"""pass@k against all subsets, maj@k by hand, and what becomes of problems with fewer thoughts."""

from itertools import combinations

import numpy as np
import pytest

from eval.numbers.parallel import majority_at_n, pass_at_k, pass_rows
from eval.numbers.statistics import accuracy_interval
from recipes.errors import UserError


def test_pass_at_k_against_all_subsets():
    n = 7
    for k in range(1, n + 1):
        found = pass_at_k(range(n + 1), n, k)
        for c in range(n + 1):
            grades = [True] * c + [False] * (n - c)
            assert found[c] == pytest.approx(np.mean([any(chosen) for chosen in combinations(grades, k)]))


def test_pass_at_k_is_stable_for_many_thoughts():
    assert pass_at_k([0, 1, 10_000], 10_000, 5_000) == pytest.approx([0.0, 0.5, 1.0])


@pytest.mark.parametrize(("counts", "k"), [([1], 5), ([1], 0), ([5], 2), ([-1], 2)])
def test_pass_at_k_refuses(counts, k):
    with pytest.raises(UserError):
        pass_at_k(counts, 4, k)


@pytest.mark.parametrize(
    ("answers", "correct", "score"),
    [
        (["7", "7", "8"], [True, True, False], 1.0),
        (["7", "8", "8"], [True, False, False], 0.0),
        (["7", "8"], [True, False], 0.5),
        (["7", "", "", ""], [True, False, False, False], 1.0),
        (["", ""], [False, False], 0.0),
        (["7", "8", "9"], [True, False, False], 1 / 3),
    ],
)
def test_majority_splits_ties_and_counts_no_blanks(answers, correct, score):
    assert majority_at_n(answers, correct) == pytest.approx(score)


def test_pass_rows_use_every_problem_that_has_k_thoughts():
    rows = pass_rows({"a": [True, False, False], "b": [False, True], "c": [False]})
    assert [(row["k"], row["problems"]) for row in rows] == [(1, 3), (2, 2), (3, 1)]
    # pass@1: 1/3, 1/2, 0; pass@2: 1 - C(2, 2) / C(3, 2), 1
    assert [row["value"] for row in rows] == pytest.approx([5 / 18, (2 / 3 + 1) / 2, 1])


def test_pass_at_1_is_the_accuracy_with_its_interval():
    grades = np.random.default_rng(4).random((40, 4)) < 0.3
    first = pass_rows({str(i): list(map(bool, own)) for i, own in enumerate(grades)})[0]
    means = grades.mean(axis=1)
    assert (first["value"], first["low"], first["high"]) == pytest.approx((means.mean(), *accuracy_interval(means)))
