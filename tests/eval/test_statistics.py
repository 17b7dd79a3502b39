"""Values by hand or by an independent road; coverage by simulation."""

from itertools import combinations

import numpy as np
import pytest

from eval import statistics as stats
from recipes.errors import UserError


def _coverage(problems: int, accuracy: float, samples: int, likeness: float) -> float:
    """Share of 1,000 simulated sweeps whose interval holds the true accuracy; thoughts on a problem correlate by
    `likeness`."""
    generator = np.random.default_rng(int(100 * accuracy))
    scale = (1 - likeness) / likeness if likeness else 0.0
    chances = (
        generator.beta(accuracy * scale, (1 - accuracy) * scale, (1000, problems))
        if likeness
        else np.full((1000, problems), accuracy)
    )
    intervals = [stats.accuracy_interval(means) for means in generator.binomial(samples, chances) / samples]
    return float(np.mean([low <= accuracy <= high for low, high in intervals]))


@pytest.mark.parametrize("problems", [30, 100, 500])
@pytest.mark.parametrize(("samples", "likeness"), [(1, 0.0), (4, 0.0), (4, 0.4)])
def test_the_interval_covers_95_percent(problems, samples, likeness):
    # Averaged over accuracies: with one thought a problem the counts are discrete, so single accuracies miss by up to 3
    # points. 30 problems with strongly alike thoughts at .05 or .95 are left out: the spread is seen too rarely there
    # (0.91 to 0.92).
    covered = np.mean([_coverage(problems, accuracy, samples, likeness) for accuracy in (0.2, 0.37, 0.5, 0.7, 0.85)])
    assert 0.93 <= covered <= 0.97


def test_the_interval_by_hand():
    # Wilson, 8 of 10: centre (0.8 + 0.19207) / 1.38415, half width 1.95996 / 1.38415 * sqrt(0.016 + 0.0096036)
    assert stats.accuracy_interval(np.array([1.0] * 8 + [0.0] * 2)) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    low, high = stats.accuracy_interval(np.ones(30))
    assert high == 1.0 and low == pytest.approx(30 / (30 + 1.96**2), abs=1e-4)
    assert stats.accuracy_interval(np.zeros(30)) == pytest.approx((1 - high, 1 - low))


def test_alike_thoughts_are_no_more_evidence_than_one():
    once = np.array([1.0, 0.0] * 50)
    assert stats.accuracy_interval(once * 0.999 + 0.0005) == pytest.approx(stats.accuracy_interval(once), abs=0.004)


def test_interval_of_equal_means_has_width():
    low, high = stats.accuracy_interval(np.full(20, 0.5))
    assert low < 0.3 and high > 0.7


@pytest.mark.parametrize(
    ("degrees", "value"), [(1, 12.7062), (2, 4.30265), (3, 3.18245), (5, 2.57058), (29, 2.04523), (1000, 1.96234)]
)
def test_student_quantile_against_tables(degrees, value):
    assert stats.student_quantile(degrees) == pytest.approx(value, rel=2e-3)


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


def test_one_budget_has_no_gain():
    assert np.isnan(stats.gain_per_doubling(np.array([0.5]), (64,)))
    assert np.isnan(stats.total_gain(np.array([0.5])))
    assert stats.gain_interval(np.ones((5, 1)), (64,), 100) is None
    assert stats.total_gain(np.array([0.1, 0.2, 0.7])) == pytest.approx(0.6)


def test_pass_at_k_against_all_subsets():
    n = 7
    for k in range(1, n + 1):
        found = stats.pass_at_k(range(n + 1), n, k)
        for c in range(n + 1):
            grades = [True] * c + [False] * (n - c)
            assert found[c] == pytest.approx(np.mean([any(chosen) for chosen in combinations(grades, k)]))


def test_pass_at_k_is_stable_for_many_thoughts():
    assert stats.pass_at_k([0, 1, 10_000], 10_000, 5_000) == pytest.approx([0.0, 0.5, 1.0])


@pytest.mark.parametrize(("counts", "k"), [([1], 5), ([1], 0), ([5], 2), ([-1], 2)])
def test_pass_at_k_refuses(counts, k):
    with pytest.raises(UserError):
        stats.pass_at_k(counts, 4, k)


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
    assert stats.majority_at_n(answers, correct) == pytest.approx(score)


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


def test_fieller_covers():
    generator, inside = np.random.default_rng(6), []
    for _ in range(500):
        pruned, unpruned, run = ((generator.random(80) < p).astype(float) for p in (0.2, 0.9, 0.62))
        found = stats.fieller(run - pruned, unpruned - pruned)
        inside.append(found is not None and found.low <= 0.6 <= found.high)
    assert 0.93 <= np.mean(inside) <= 0.97
