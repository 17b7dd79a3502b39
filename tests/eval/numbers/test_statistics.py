"""Values by hand or by an independent road; coverage by simulation."""

import math

import numpy as np
import pytest

from eval.numbers import statistics as stats
from tests.bench.coverage import CURVES, KINDS, PAIRS


def _standard_error(repetitions):
    return math.sqrt(0.95 * 0.05 / repetitions)


def _cells(kind, worlds):
    coverage, truths = KINDS[kind]
    return [pytest.param(coverage, world, truths[name], id=f"{kind} {world} {name}") for world, name in worlds]


@pytest.mark.parametrize(
    ("coverage", "world", "truth"),
    [
        *_cells("accuracy", [((30, 4, 0.5), "0.05"), ((30, 16, 0.5), "0.05"), ((30, 4, 0.9), "0.1")]),
        *_cells("paired difference", [((30, 1, 0), ".95 .22"), ((30, 4, 0.5), ".6 .5")]),
        *_cells("recovered fraction", [((30, 1, 0), ".92 .95 .1"), ((100, 16, 0.5), ".92 .95 .1")]),
    ],
)
def test_weak_points_of_simpler_intervals_are_covered(coverage, world, truth):
    assert coverage(world, truth, 1000) > 0.93 - 2.5 * _standard_error(1000)


ALIKE = [(p, *thoughts) for p in (30, 100, 500) for thoughts in ((1, 0.0), (4, 0.0), (4, 0.5), (4, 0.9))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("coverage", "world", "truth"),
    [
        *_cells("accuracy", [(world, name) for world in ALIKE for name in ("0.05", "0.2", "0.5", "0.9")]),
        *_cells("pass@2", [(world, name) for world in ALIKE if world[1] > 1 for name in ("0.1", "0.5")]),
        *_cells("gain per doubling", [(world, name) for world in ALIKE for name in ("rises", "high")]),
        *_cells("paired difference", [(world, name) for world in ALIKE for name in (".95 .22", ".6 .5", ".08 .05")]),
        *_cells("recovered fraction", [(world, ".6 .9 .2") for world in ALIKE]),
    ],
)
def test_95_percent_intervals_hold_the_truth_as_often_as_they_say(coverage, world, truth):
    """93 … 97 % and Monte Carlo error; above 97 % only where few problems show a difference (the docstrings say so)."""
    repetitions = 3000
    held = coverage(world, truth, repetitions)
    assert held > 0.93 - 2.5 * _standard_error(repetitions)
    if world[0] >= 100 and world[1] == 1 and truth in (0.2, 0.5, CURVES["rises"], PAIRS[".6 .5"]):
        assert held < 0.97 + 2.5 * _standard_error(repetitions)


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
    assert stats.stretch(np.array([1.0, 0.0] * 5)) == 1


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


def test_bootstrap_weights_are_counts():
    weights = stats.bootstrap_weights(50, 400, seed=3)
    assert weights.shape == (400, 50) and np.all(weights.sum(axis=1) == 50)
    assert weights.mean() == 1 and weights.var() == pytest.approx(1 - 1 / 50, rel=0.05)
    assert np.array_equal(weights, stats.bootstrap_weights(50, 400, seed=3))


def test_bootstrap_uses_those_weights_in_blocks(monkeypatch):
    values = np.random.default_rng(0).random((40, 3))
    whole = stats.bootstrap(values, 300, seed=5)
    assert np.allclose(whole, stats.bootstrap_weights(40, 300, seed=5) @ values / 40)
    monkeypatch.setattr(stats, "BLOCK_DRAWS", 1000)
    assert np.allclose(stats.bootstrap(values, 300, seed=5), whole)


def test_bootstrap_of_a_mean_has_the_analytic_standard_error():
    values = np.random.default_rng(1).random((200, 2, 8))
    spread = stats.bootstrap(values, 10_000, seed=2).std(axis=0)
    assert spread == pytest.approx(values.mean(axis=2).std(axis=0) / np.sqrt(200), rel=0.03)


def test_the_global_random_state_is_left_alone():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    stats.bootstrap(np.ones((10, 2)), 100, seed=0)
    assert np.array_equal(before, np.random.get_state()[1])


def test_contrast_intervals_cover_and_never_vanish():
    generator, inside = np.random.default_rng(4), []
    for _ in range(300):
        contrast = generator.choice([-1.0, 0.0, 1.0], p=[0.1, 0.6, 0.3], size=(60, 1))
        found = stats.contrast_intervals(contrast, [1.0], 500, seed=9)[0]
        inside.append(found.low <= 0.2 <= found.high)
    assert 0.92 <= np.mean(inside) <= 0.98
    same = stats.contrast_intervals(np.zeros((100, 1)), [1.0], 500, seed=9)[0]
    assert same.high == -same.low == pytest.approx(1.96**2 / (100 + 1.96**2), abs=1e-4)


def test_slope_against_polyfit():
    budgets, accuracy = (512, 1024, 4096, 8192), np.random.default_rng(2).random((5, 4))
    fitted = np.polyfit(np.log2(budgets), accuracy.T, 1)[0]
    assert stats.gain_per_doubling(accuracy, budgets) == pytest.approx(fitted)
    assert stats.slope_scale((1, 2, 4, 8, 16)) == pytest.approx(0.3)


def test_a_bootstrap_is_stretched_where_one_problem_makes_the_variance():
    # 29 problems differ by little and one by much: Student has 3.91 for its 2.22 degrees of freedom, 2.045 for 29
    one = np.append(np.linspace(-0.01, 0.01, 29), 1.0)[:, None]
    share = stats.percentile_share(30)
    low, high = np.quantile(stats.bootstrap(one, 500, seed=9), [share, 1 - share])
    found, mean = stats.contrast_intervals(one, [0.0], 500, seed=9)[0], one.mean()
    assert found.high - mean == pytest.approx((high - mean) * 3.91 / 2.045, rel=0.04)
    assert mean - found.low == pytest.approx((mean - low) * 3.91 / 2.045, rel=0.04)


@pytest.mark.parametrize(("apart", "share"), [(0.02, 0.6 + 0.4 * (1 - 8 * 0.02)), (0.13, 0.6)])
def test_the_reach_after_agreement_fades_with_what_differs(apart: float, share: float):
    # 60 of 100 problems agree; the others count by how near they are, and the bootstrap by itself would reach less
    one = np.zeros((100, 1))
    one[:40, 0] = np.tile([apart, -apart], 20)
    found = stats.contrast_intervals(one, [1.0], 500, seed=9)[0]
    assert found.high == -found.low == pytest.approx(share * 1.96**2 / (100 + 1.96**2), abs=1e-4)


def test_what_is_near_is_measured_in_the_scale_of_the_contrast():
    near = np.array([0.0, 0.0, 0.05, 0.0])[:, None]
    assert stats.agreeing(near, 1.0) == pytest.approx((3 + 1 - 8 * 0.05) / 4)
    assert stats.agreeing(near / 10, 0.1) == pytest.approx((3 + 1 - 8 * 0.05) / 4)


def test_noise_of_many_thoughts_hides_no_rare_problem():
    # 30 problems whose 64 thoughts differ by one at most: a problem that differs wholly may still be among the unseen
    run = np.append(np.tile([1.0, 1 - 1 / 64], 14), [1.0, 1.0])
    found = stats.fieller(run - 0.25, np.ones(30) - 0.25)
    assert found is not None
    assert found.estimate - found.low > 0.9 * 1.96**2 / (30 + 1.96**2)


def test_thinking_off_has_no_part_in_any_gain():
    accuracy, budgets = np.random.default_rng(2).random((5, 4)), (0, 512, 1024, 4096)
    assert stats.gain_per_doubling(accuracy, budgets) == pytest.approx(
        stats.gain_per_doubling(accuracy[:, 1:], budgets[1:])
    )
    assert stats.slope_weights(budgets)[0] == 0 and stats.slope_scale(budgets) == stats.slope_scale(budgets[1:])
    with_control, without = (stats.gain_interval(accuracy[:, k:], budgets[k:], 200) for k in (0, 1))
    assert (with_control.low, with_control.high) == pytest.approx((without.low, without.high))
    row = np.array([0.9, 0.1, 0.2, 0.7])
    assert stats.level(row, budgets) == 0.1 and stats.total_gain(row, budgets) == pytest.approx(0.6)


@pytest.mark.parametrize("budgets", [(0,), (0, 64)])
def test_thinking_off_and_one_budget_have_no_gain(budgets):
    accuracy = np.full(len(budgets), 0.5)
    assert np.isnan(stats.gain_per_doubling(accuracy, budgets)) and stats.total_gain(accuracy, budgets) is None
    assert stats.gain_interval(np.full((9, len(budgets)), 0.5), budgets, 100) is None
    assert stats.level(accuracy, budgets) == (None if budgets == (0,) else 0.5)


def test_one_budget_has_no_gain():
    assert np.isnan(stats.gain_per_doubling(np.array([0.5]), (64,)))
    assert stats.total_gain(np.array([0.5]), (64,)) is None
    assert stats.gain_interval(np.ones((5, 1)), (64,), 100) is None
    assert stats.total_gain(np.array([0.1, 0.2, 0.7]), (1, 2, 4)) == pytest.approx(0.6)


def test_recovered_fraction():
    generator = np.random.default_rng(5)
    luck = generator.random(400)
    pruned, unpruned, run = ((luck < p).astype(float)[:, None] for p in (0.2, 0.9, 0.55))
    found = stats.recovered_fraction(run, unpruned, pruned)[0]
    assert found is not None and found.low < 0.5 < found.high
    assert found.estimate == pytest.approx((run.mean() - pruned.mean()) / (unpruned.mean() - pruned.mean()))
    assert stats.recovered_fraction(run, pruned, pruned) == [None]
    noisy = (generator.random((400, 1)) < 0.22).astype(float)
    assert stats.recovered_fraction(run, noisy, pruned) == [None]


def test_a_fraction_that_all_problems_agree_on_has_width():
    run, pruned = np.ones((50, 1)), np.zeros((50, 1))
    (found,) = stats.recovered_fraction(run, run, pruned)
    assert found.estimate == 1
    assert found.high - 1 == pytest.approx(1 - found.low) == pytest.approx(1.96**2 / (50 + 1.96**2), abs=1e-4)


def test_fieller_by_hand():
    # unrelated parts: n = 0.5, d = 1, variances of the means 0.01 (of n) and 0.0025 (of d), no covariance, t² = 4.1831:
    # a = 1 - 0.010458, b = 0.5, c = 0.25 - 0.041831
    numerator = 0.5 + math.sqrt(0.01 * 29) * np.array([1.0, -1.0] * 15)
    denominator = 1 + math.sqrt(0.0025 * 29) * np.repeat([1.0, -1.0, 1.0], [8, 15, 7])
    covariance = np.cov(numerator, denominator)[0, 1] / 30
    a, b, c = 1 - 0.010458, 0.5 - 4.1831 * covariance, 0.25 - 0.041831
    found = stats.fieller(numerator, denominator)
    root = math.sqrt(b * b - a * c)
    assert (found.low, found.high) == pytest.approx(((b - root) / a, (b + root) / a), rel=0.03)


def test_fieller_covers():
    generator, inside = np.random.default_rng(6), []
    for _ in range(500):
        pruned, unpruned, run = ((generator.random(80) < p).astype(float) for p in (0.2, 0.9, 0.62))
        found = stats.fieller(run - pruned, unpruned - pruned)
        inside.append(found is not None and found.low <= 0.6 <= found.high)
    assert 0.93 <= np.mean(inside) <= 0.97
