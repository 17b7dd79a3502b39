"""The recovered fraction and its interval."""

import math

import numpy as np
import pytest

from eval.numbers.contrasts import contrast
from eval.numbers.fractions import ratio_intervals, recovered_fraction


def _ratio(numerator, denominator):
    (interval,) = ratio_intervals(numerator[:, None], denominator[:, None])
    return interval


def _three(luck, accuracies):
    return [(luck < accuracy).astype(float)[:, None] for accuracy in accuracies]


def test_recovered_fraction():
    run, unpruned, pruned = _three(np.random.default_rng(5).random(400), (0.55, 0.9, 0.2))
    (fraction,) = recovered_fraction(run, unpruned, pruned)
    assert fraction is not None and fraction.low < 0.5 < fraction.high
    assert fraction.estimate == pytest.approx((run.mean() - pruned.mean()) / (unpruned.mean() - pruned.mean()))


def test_without_a_shown_loss_there_is_no_fraction():
    generator = np.random.default_rng(5)
    run, pruned, better = _three(generator.random(400), (0.55, 0.2, 0.1))
    noisy = (generator.random((400, 1)) < 0.22).astype(float)
    assert recovered_fraction(run, pruned, pruned) == [None]
    assert recovered_fraction(run, noisy, pruned) == [None]
    assert recovered_fraction(run, better, pruned) == [None]  # the pruned model is shown to be better
    assert recovered_fraction(run[:1], run[:1], pruned[:1]) == [None]


def test_budgets_are_independent_columns():
    luck = np.random.default_rng(5).random(400)
    first, second = _three(luck, (0.55, 0.9, 0.2)), _three(luck, (0.2, 0.2, 0.2))
    both = recovered_fraction(*(np.hstack(pair) for pair in zip(first, second, strict=True)))
    assert both == [*recovered_fraction(*first), None]


def test_fieller_by_hand():
    # No skewness, so plain Fieller: n = 0.5, d = 1, variances of the means 0.01 (of n) and 0.0025 (of d), t² = 4.1831:
    # a = 1 - 0.010458, b = 0.5 less t² times the covariance, c = 0.25 - 0.041831
    numerator = 0.5 + math.sqrt(0.01 * 29) * np.array([1.0, -1.0] * 15)
    denominator = 1 + math.sqrt(0.0025 * 29) * np.repeat([1.0, -1.0], 15)
    covariance = np.cov(numerator, denominator)[0, 1] / 30
    a, b, c = 1 - 0.010458, 0.5 - 4.1831 * covariance, 0.25 - 0.041831
    interval, root = _ratio(numerator, denominator), math.sqrt(b * b - a * c)
    assert (interval.low, interval.high) == pytest.approx(((b - root) / a, (b + root) / a), rel=0.03)


def test_the_ends_are_where_the_contrast_is_just_not_shown():
    luck = np.random.default_rng(7).random(60)
    run, unpruned, pruned = (column[:, 0] for column in _three(luck, (0.6, 0.9, 0.2)))
    interval = _ratio(run - pruned, unpruned - pruned)
    at_low, at_high = ((run - pruned) - end * (unpruned - pruned) for end in (interval.low, interval.high))
    assert contrast(at_low, 1.0, 0.05).low == pytest.approx(0, abs=1e-9)
    assert contrast(at_high, 1.0, 0.05).high == pytest.approx(0, abs=1e-9)


def test_a_fraction_that_all_problems_agree_on_has_width():
    run, pruned = np.ones((50, 1)), np.zeros((50, 1))
    (fraction,) = recovered_fraction(run, run, pruned)
    assert fraction.estimate == 1
    assert fraction.high - 1 == pytest.approx(1 - fraction.low) == pytest.approx(1.96**2 / (50 + 1.96**2), abs=1e-4)


def test_noise_of_many_thoughts_hides_no_rare_problem():
    # 30 problems whose 64 thoughts differ by one at most: a problem that differs wholly may still be among the unseen
    run = np.append(np.tile([1.0, 1 - 1 / 64], 14), [1.0, 1.0])
    interval = _ratio(run - 0.25, np.ones(30) - 0.25)
    assert interval.estimate - interval.low >= 1.9599**2 / (30 + 1.9599**2)


def test_fieller_covers():
    generator, inside = np.random.default_rng(6), []
    run, unpruned, pruned = ((generator.random((80, 500)) < p).astype(float) for p in (0.62, 0.9, 0.2))
    inside = [interval.low <= 0.6 <= interval.high for interval in ratio_intervals(run - pruned, unpruned - pruned)]
    assert 0.93 <= np.mean(inside) <= 0.97
