"""How many times the tokens for the same accuracy."""

import math

import numpy as np
import pytest

from eval.numbers.retention import Paired
from eval.numbers.token_factors import factor_text, token_factor_rows, token_factors

TOKENS = (100.0, 200.0, 400.0)


def _exactly(accuracies, problems=200):
    """Means whose averages are the accuracies exactly: the first problems are right."""
    return (np.arange(problems)[:, None] < problems * np.array(accuracies)).astype(float)


def test_the_factor_by_hand():
    unpruned, run = _exactly((0.4, 0.6, 0.8)), _exactly((0.2, 0.4, 0.6))
    first, second, third = token_factors(run, unpruned, TOKENS, TOKENS)
    assert (first.factor, second.factor) == pytest.approx((2, 2)) and third.factor is None
    # a quarter of the way in log2(tokens) from 200 to 400
    (between,) = token_factors(_exactly((0.4, 0.8)), _exactly((0.5,)), (200, 400), (100,))
    assert between.factor == pytest.approx(2 * 2**0.25)


def test_tokens_really_spent_are_the_axis():
    same = _exactly((0.4, 0.6, 0.8))
    factors = token_factors(same, same, [t / 2 for t in TOKENS], TOKENS)
    assert [each.factor for each in factors] == pytest.approx([0.5] * 3)


def test_an_accuracy_that_the_smallest_budget_has_bounds_from_above_alone():
    (first, *_, last) = token_factors(_exactly((0.9, 0.9, 0.9)), _exactly((0.4, 0.6, 0.8)), TOKENS, TOKENS)
    assert (first.factor, first.at_most, first.low) == (pytest.approx(1), True, None)
    assert (last.factor, last.at_most) == (pytest.approx(0.25), True) and last.high <= 1


def test_the_interval_holds_where_the_difference_is_not_shown():
    generator = np.random.default_rng(5)
    luck, own = generator.random((400, 1)), generator.random((400, 1))
    unpruned = (luck < np.array([0.2, 0.5, 0.8])).astype(float)
    run = (np.where(own < 0.5, luck, generator.random((400, 1))) < np.array([0.1, 0.35, 0.65])).astype(float)
    _, second, _ = token_factors(run, unpruned, TOKENS, TOKENS)
    assert second.low < second.factor < second.high and 1 < second.factor < 2


def test_the_interval_covers():
    # the run has 0.5 half of the way in log2(tokens) between 200 and 400: the factor is sqrt(2) to 200
    generator, inside = np.random.default_rng(6), 0
    for _ in range(300):
        luck = generator.random((150, 1))
        run = np.where(generator.random((150, 1)) < 0.5, luck, generator.random((150, 1))) < np.array([0.1, 0.3, 0.7])
        unpruned = luck < np.array([0.3, 0.5, 0.7])
        factor = token_factors(run.astype(float), unpruned.astype(float), TOKENS, TOKENS)[1]
        inside += (factor.low or 0) <= math.sqrt(2) <= (factor.high or math.inf)
    assert inside / 300 > 0.93 - 2.5 * 0.0126


def test_rows_are_of_the_budgets_that_let_a_model_think():
    means = _exactly((0.1, 0.4, 0.6))
    rows = token_factor_rows(Paired(means, means, means, (0, 8, 16)), (0, 7, 12), (0, 7, 12))
    assert [(row["budget"], row["factor"]) for row in rows] == [(8, 1), (16, pytest.approx(1))]
    assert token_factor_rows(Paired(*[means[:, :1]] * 3, (0,)), (0,), (0,)) is None


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"factor": 1.84, "low": 1.2, "high": None, "at_most": False}, "1.8 [1.2, ..]"),
        ({"factor": 0.25, "low": None, "high": 0.31, "at_most": True}, "at most 0.25 [.., 0.31]"),
        ({"factor": None, "low": 1.5, "high": None, "at_most": False}, "not reached, more than 1.5"),
        ({"factor": None, "low": None, "high": None, "at_most": False}, "not reached"),
    ],
)
def test_text(row, text):
    assert factor_text(row) == text
