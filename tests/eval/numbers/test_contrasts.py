"""The interval of a contrast: by hand, and exactly against the binomial distribution where problems fail rarely."""

import math

import numpy as np
import pytest

from eval.numbers.contrasts import bounds, contrast, reach, spread
from eval.numbers.statistics import student_quantile


def test_the_interval_by_hand():
    # 20 problems at -1 and 20 at 1: s = sqrt(40 / 39), no skewness, t = 2.0227 for 39 degrees of freedom
    symmetric = contrast(np.tile([1.0, -1.0], 20), 1.0, 0.05)
    assert symmetric.skewness == 0 and symmetric.estimate == 0
    assert symmetric.high == -symmetric.low == pytest.approx(2.0227 * math.sqrt(40 / 39) / math.sqrt(40), rel=1e-3)


def test_johnsons_correction_by_hand():
    # 4 of 40 problems at 1: mean 0.1, s² = 0.09 * 40 / 39, third moment 0.1 * 0.9 * 0.8 = 0.072, t = 2.0227
    found = contrast(np.repeat([1.0, 0.0], [4, 36]), 0.0, 0.05)
    s = math.sqrt(0.09 * 40 / 39)
    half, outward = 2.0227 * s / math.sqrt(40), 0.072 / s**2 * (1 + 2 * 2.0227**2) / (6 * 40)
    assert (found.low, found.high) == pytest.approx((0.1 - half, 0.1 + half + outward), rel=1e-3)


def test_problems_that_all_agree_leave_wilsons_reach():
    same = contrast(np.zeros(100), 1.0, 0.001)
    assert same.estimate == 0 and same.low == -same.high
    assert same.high == pytest.approx(3.2905**2 / (100 + 3.2905**2), rel=1e-3)
    assert contrast(np.zeros(100), 0.3, 0.001).high == pytest.approx(0.3 * same.high)


def test_agreement_up_to_rounding_has_no_skewness():
    deviation, skewness = spread(np.tile([0.1, 0.1 + 1e-17], (30, 1)))
    assert np.all(deviation < 1e-12) and np.all(skewness == 0)


def test_one_problem_bounds_nothing():
    assert bounds(np.ones((1, 1)), 1.0, 0.05) == (-math.inf, math.inf)


def test_bounds_are_the_intervals_of_the_columns():
    columns = np.random.default_rng(3).exponential(size=(40, 5))
    low, high = bounds(columns, 0.3, 0.01)
    for k in range(5):
        found = contrast(columns[:, k], 0.3, 0.01)
        assert (found.low, found.high) == pytest.approx((low[k], high[k]))
        below, above = reach(found.deviation, found.skewness, 0.3, 40, 0.01)
        assert (found.estimate - found.low, found.high - found.estimate) == pytest.approx((below, above))


def test_bounds_move_outward_only_and_mirror():
    draws = np.random.default_rng(3).exponential(size=(40, 5)) * [1, 2, 0.1, 0, 5]
    low, high = bounds(draws, 0.0, 0.001)
    half = student_quantile(39, 0.001) * draws.std(axis=0, ddof=1) / math.sqrt(40)
    assert np.allclose(low, draws.mean(axis=0) - half) and np.all(high >= draws.mean(axis=0) + half - 1e-12)
    assert np.allclose(bounds(-draws, 0.0, 0.001), (-high, -low))


def _chance_of_failures(problems, rate):
    """The chance of 0 … P failures, [P + 1]."""
    k = np.arange(problems + 1)
    logs = np.cumsum(np.log(np.r_[1, np.arange(1, problems + 1)]))
    return np.exp(logs[-1] - logs - logs[::-1] + k * math.log(rate) + (problems - k) * math.log1p(-rate))


@pytest.mark.parametrize("error", [0.05, 0.025, 1.25e-3, 2.5e-4])
@pytest.mark.parametrize(("scale", "margin"), [(0.3, 0.05), (0.3, 0.1), (1.0, 0.05)])
@pytest.mark.parametrize("problems", [30, 150, 600])
def test_rare_failures_exactly_at_the_margin_are_missed_as_seldom_as_promised(problems, scale, margin, error):
    failed = np.arange(problems)[:, None] < np.arange(problems + 1)  # a column each for 0 … P failures
    low, _ = bounds(-scale * failed, scale, error)
    wrong = _chance_of_failures(problems, margin / scale)[low > -margin + 1e-9].sum()
    assert wrong <= 1.5 * error / 2
