"""Intervals over problems and trainings."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from eval.numbers.contrasts import contrast
from eval.numbers.fractions import ratio_intervals
from eval.numbers.seeds import Pooled, pooled, seeds_interval, seeds_p_value, seeds_share

RANDOM = np.random.default_rng(4)
SYMMETRIC = np.concatenate([np.full(60, 0.5), np.full(60, -0.5)])  # no skewness; [problems]


def shifted(*by: float) -> np.ndarray:
    """A training for each number, by which all its problems differ; [seeds, problems]."""
    return np.stack([SYMMETRIC + each for each in by])


def test_one_training_has_the_interval_of_its_problems() -> None:
    values = RANDOM.normal(0.1, 0.3, (1, 80))
    alone, found = contrast(values[0], 1.0, 0.05), seeds_interval(values, 1.0, 0.05, Pooled(9.0, 5.0))
    assert (found.low, found.high) == (alone.low, alone.high)


def test_trainings_that_are_alike_have_the_interval_of_their_problems() -> None:
    found, alone = seeds_interval(shifted(0, 0, 0), 0.0, 0.05), contrast(SYMMETRIC, 0.0, 0.05)
    assert (found.low, found.high) == (pytest.approx(alone.low), pytest.approx(alone.high))


def test_both_variances_with_satterthwaites_degrees_by_hand() -> None:
    """Problems: variance .25 * 120/119, over 120. Trainings -.2, 0, .2: variance .04, over 3."""
    problems, seeds = 0.25 * 120 / 119 / 120, 0.04 / 3
    degrees = (problems + seeds) ** 2 / (problems**2 / 119 + seeds**2 / 2)
    half = stats.t.ppf(0.975, degrees) * math.sqrt(problems + seeds)
    assert seeds_interval(shifted(-0.2, 0, 0.2), 0.0, 0.05).high == pytest.approx(half, rel=0.05)


def test_what_all_recipes_show_widens_trainings_that_are_alike_by_luck() -> None:
    alike, of_all = shifted(0, 0, 0), Pooled(0.04, 20.0)
    own = seeds_interval(alike, 0.0, 0.05)
    assert seeds_interval(alike, 0.0, 0.05, of_all).high > own.high


def test_a_recipe_that_differs_more_than_the_others_keeps_its_own_interval() -> None:
    values = shifted(-0.2, 0, 0.2)
    assert seeds_interval(values, 0.0, 0.05, Pooled(1e-6, 40.0)) == seeds_interval(values, 0.0, 0.05)


def test_the_pooled_variance_is_weighted_by_degrees_of_freedom() -> None:
    """Variances .02 with 1 degree and .04 with 2; a recipe trained once says nothing."""
    found = pooled([shifted(-0.1, 0.1), shifted(-0.2, 0, 0.2), shifted(5)])
    assert found == Pooled(pytest.approx((0.02 + 2 * 0.04) / 3), 3.0)
    assert pooled([shifted(1), shifted(2)]) is None


def test_a_difference_has_the_variance_of_both() -> None:
    assert Pooled(0.03, 7.0).of_differences() == Pooled(0.06, 7.0)


def test_the_p_value_is_the_error_at_which_the_interval_just_reaches_0() -> None:
    values = shifted(0.1, 0.12, 0.17)
    p = seeds_p_value(values, 0.0)
    assert 0 < p < 1 and seeds_interval(values, 0.0, p).low == pytest.approx(0, abs=1e-6)


def test_the_share_of_one_training_is_that_of_its_problems() -> None:
    luck = RANDOM.random(300)
    run, whole = ((luck < share).astype(float)[None] for share in (0.4, 0.8))
    (alone,) = ratio_intervals(run.T, whole.T)
    found = seeds_share(run, whole, 1.0, 0.05)
    assert alone is not None and found is not None
    assert (found.low, found.high) == (pytest.approx(alone.low), pytest.approx(alone.high))


def test_without_a_denominator_above_0_there_is_no_share() -> None:
    assert seeds_share(shifted(0.1), shifted(0.0), 1.0, 0.05) is None


def test_a_study_of_many_recipes_misses_in_at_most_one_of_twenty() -> None:
    """14 recipes, 3 trainings each that differ by .06, none of which has any effect: 150 studies, nominal .05."""
    random, missed = np.random.default_rng(11), 0
    for _ in range(150):
        recipes = [
            random.normal(0, 0.25, 100) + random.normal(0, 0.06, (3, 1)) + random.normal(0, 0.35, (3, 100))
            for _ in range(14)
        ]
        spread = pooled(recipes)
        found = [seeds_interval(values, 1.0, 0.05 / 14, spread) for values in recipes]
        missed += any(not each.low <= 0 <= each.high for each in found)
    assert missed <= 0.1 * 150
