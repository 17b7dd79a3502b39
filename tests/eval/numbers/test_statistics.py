"""Quantiles and the interval of an accuracy: values by hand, from printed tables or by an independent road."""

import math

import numpy as np
import pytest

from eval.numbers import statistics as stats


def test_the_interval_by_hand():
    # Wilson, 8 of 10, with Student's 2.2622 for 9 degrees of freedom: centre (0.8 + 0.25588) / 1.51176, half width
    # 2.2622 / 1.51176 * sqrt(0.016 + 0.012794)
    assert stats.accuracy_interval(np.array([1.0] * 8 + [0.0] * 2)) == pytest.approx((0.4445, 0.9524), abs=2e-4)
    low, high = stats.accuracy_interval(np.ones(30))
    assert high == 1.0 and low == pytest.approx(30 / (30 + 2.04523**2), abs=1e-4)
    assert stats.accuracy_interval(np.zeros(30)) == pytest.approx((1 - high, 1 - low))


def test_the_interval_of_several_thoughts_by_hand():
    # 20 problems at 1/4 and 20 at 3/4: variance 0.0625 * 40 / 39, ratio 0.25641 ** (40 / 40.5) = 0.26076, so 153.4
    # thoughts count; all problems differ from the mean by as much, so 39 degrees of freedom, 2.02269
    means = np.array([0.25, 0.75] * 20)
    half = 2.02269 / (1 + 2.02269**2 / 153.4) * math.sqrt(0.25 / 153.4 + 2.02269**2 / (4 * 153.4**2))
    assert stats.accuracy_interval(means) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-4)


def test_the_interval_is_the_same_seen_from_the_wrong_answers():
    means = np.random.default_rng(3).binomial(4, 0.1, 60) / 4
    low, high = stats.accuracy_interval(means)
    assert stats.accuracy_interval(1 - means) == pytest.approx((1 - high, 1 - low))


def test_one_success_of_many_thoughts_says_little_of_the_other_problems():
    once = np.array([0.25] + [0.0] * 29)
    assert stats.accuracy_interval(once)[1] > 0.09  # as independent thoughts it would be 0.04
    assert stats.accuracy_interval(np.array([0.7])) == (0, 1)


def test_variance_degrees_by_hand():
    # one of 10 differs: squares 0.81 and 9 of 0.01, so 2 / ((0.6561 + 0.0009) / 0.81 - 0.1) = 2 / 0.71111
    assert stats.variance_degrees(np.array([1.0] + [0.0] * 9)) == pytest.approx(2.8125)
    assert stats.variance_degrees(np.array([1.0, 0.0] * 5)) == 9 == stats.variance_degrees(np.ones(10))


def test_alike_thoughts_are_no_more_evidence_than_one():
    once = np.array([1.0, 0.0] * 50)
    assert stats.accuracy_interval(once * 0.999 + 0.0005) == pytest.approx(stats.accuracy_interval(once), abs=0.004)


def test_interval_of_equal_means_has_width():
    low, high = stats.accuracy_interval(np.full(20, 0.5))
    assert low < 0.3 and high > 0.7


@pytest.mark.parametrize(  # from printed tables of Student's distribution
    ("degrees", "error", "quantile"),
    [
        (9, 0.05, 2.262),
        (29, 0.05, 2.045),
        (1000, 0.05, 1.962),
        (9, 0.001, 4.781),
        (29, 0.001, 3.659),
        (120, 0.001, 3.373),
        (29, 0.01, 2.756),
    ],
)
def test_student_quantiles(degrees, error, quantile):
    assert stats.student_quantile(degrees, error) == pytest.approx(quantile, rel=0.006)


def test_quantiles_at_the_ends():
    assert stats.normal_quantile(0.05) == pytest.approx(1.96, abs=1e-4)
    assert stats.student_quantile(0) == math.inf
    assert 4.303 <= stats.student_quantile(2) < 4.5 and stats.student_quantile(4, 0.001) >= 8.610
