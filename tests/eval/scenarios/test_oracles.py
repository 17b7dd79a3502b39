"""Our statistics against scipy and statsmodels, which stand in the dev extra and are used nowhere else."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.api import OLS
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from eval.numbers.contrasts import contrast
from eval.numbers.fractions import ratio_intervals
from eval.numbers.gains import gain_per_doubling
from eval.numbers.groups import by_group
from eval.numbers.pairs import holm, p_value
from eval.numbers.parallel import pass_at_k
from eval.numbers.statistics import normal_quantile, student_quantile, wilson


@pytest.mark.parametrize("error", [0.05, 0.025, 6e-4])
@pytest.mark.parametrize("degrees", [9, 29, 99, 499])
def test_students_quantile(degrees, error):
    assert student_quantile(degrees, error) == pytest.approx(stats.t.ppf(1 - error / 2, degrees), rel=0.006)
    assert normal_quantile(error) == pytest.approx(stats.norm.ppf(1 - error / 2))


@pytest.mark.parametrize(("right", "problems"), [(0, 30), (3, 30), (50, 100), (499, 500)])
def test_wilsons_interval(right, problems):
    expected = proportion_confint(right, problems, method="wilson")
    assert wilson(right / problems, problems, normal_quantile(0.05)) == pytest.approx(expected, abs=1e-9)


def test_a_contrast_without_skewness_is_students_interval():
    values = np.random.default_rng(0).normal(0.1, 1, 60)
    values = np.r_[values, 0.2 - values]  # symmetric about its mean 0.1
    mine, interval = contrast(values, 0.0, 0.05), stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (mine.low, mine.high) == pytest.approx((interval.low, interval.high), abs=2e-3)
    assert p_value(values, 0.0) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=0.02)


@pytest.mark.parametrize("sizes", [(5,) * 20, (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)])
def test_the_spread_of_groups_is_that_of_clustered_errors(sizes):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    values = (
        np.random.default_rng(1).normal(size=len(groups)) + np.random.default_rng(2).normal(size=len(sizes))[groups]
    )
    fit = OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": groups})
    rows = by_group(values, [f"g{k}" for k in groups])
    assert rows.mean() == pytest.approx(fit.params[0])
    assert rows.std(ddof=1) / math.sqrt(len(rows)) == pytest.approx(fit.bse[0], rel=1e-9)


def test_holms_correction():
    p_values = np.random.default_rng(3).random(12) ** 3
    assert holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]))


def test_the_gain_is_a_regression():
    budgets, accuracy = (512, 1024, 4096, 8192), np.random.default_rng(4).random(4)
    assert gain_per_doubling(accuracy, budgets) == pytest.approx(stats.linregress(np.log2(budgets), accuracy).slope)


def test_a_ratio_against_the_bootstrap():
    generator = np.random.default_rng(5)
    denominator = generator.normal(0.6, 0.5, 400)
    numerator = 0.7 * denominator + generator.normal(0, 0.3, 400)
    (mine,) = ratio_intervals(numerator[:, None], denominator[:, None])

    def ratio(a, b, axis=-1):
        return a.mean(axis=axis) / b.mean(axis=axis)

    interval = stats.bootstrap(
        (numerator, denominator), ratio, paired=True, vectorized=True, n_resamples=4000, method="BCa", rng=generator
    ).confidence_interval
    assert (mine.low, mine.high) == pytest.approx((interval.low, interval.high), abs=0.006)


def test_pass_at_k_is_hypergeometric():
    expected = [1 - stats.hypergeom.pmf(0, 16, correct, 4) for correct in range(17)]
    assert pass_at_k(range(17), 16, 4) == pytest.approx(expected)
