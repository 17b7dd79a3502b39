"""Base, level, total gain and gain per doubling."""

import numpy as np
import pytest

from eval.numbers import gains
from eval.numbers.contrasts import contrast

KEYS = ["gain_per_doubling", "gain_low", "gain_high", "total_gain", "total_low", "total_high"]


def test_slope_against_polyfit():
    budgets, accuracy = (512, 1024, 4096, 8192), np.random.default_rng(2).random((5, 4))
    fitted = np.polyfit(np.log2(budgets), accuracy.T, 1)[0]
    assert gains.gain_per_doubling(accuracy, budgets) == pytest.approx(fitted)
    assert gains.slope_scale((1, 2, 4, 8, 16)) == pytest.approx(0.3)


def test_a_row_has_each_gain_with_the_interval_of_a_contrast():
    accuracy, budgets = np.random.default_rng(2).random((9, 3)), (8, 16, 64)
    row = gains.gain_row(accuracy, budgets, 0.01)
    slope = contrast(gains.gain_per_doubling(accuracy, budgets), gains.slope_scale(budgets), 0.01)
    total = contrast(accuracy[:, 2] - accuracy[:, 0], 1.0, 0.01)
    assert list(row) == KEYS
    assert list(row.values()) == [slope.estimate, slope.low, slope.high, total.estimate, total.low, total.high]


def test_over_two_budgets_both_gains_are_one_number():
    # log2(32 / 8) = 2 doublings between them
    row = gains.gain_row((np.random.default_rng(2).random((40, 2)) < 0.5).astype(float), (8, 32), 0.05)
    assert [2 * row[key] for key in KEYS[:3]] == pytest.approx([row[key] for key in KEYS[3:]])


def test_thinking_off_has_no_part_in_any_gain():
    accuracy, budgets = np.random.default_rng(2).random((5, 4)), (0, 512, 1024, 4096)
    assert gains.slope_weights(budgets)[0] == 0 and gains.slope_scale(budgets) == gains.slope_scale(budgets[1:])
    with_control, without = (gains.gain_row(accuracy[:, k:], budgets[k:], 0.05) for k in (0, 1))
    assert with_control == pytest.approx(without)
    assert gains.base(np.array([0.9, 0.1, 0.2, 0.7]), budgets) == 0.1
    assert gains.level(np.array([0.9, 0.1, 0.2, 0.7]), budgets) == 0.7


@pytest.mark.parametrize("budgets", [(0,), (64,), (0, 64)])
def test_one_budget_has_no_gain(budgets):
    accuracy = np.full((9, len(budgets)), 0.5)
    assert np.all(np.isnan(gains.gain_per_doubling(accuracy, budgets)))
    assert gains.gain_row(accuracy, budgets, 0.05) == dict.fromkeys(KEYS)
    expected = None if budgets == (0,) else 0.5
    assert gains.level(accuracy[0], budgets) == gains.base(accuracy[0], budgets) == expected


def test_one_problem_has_no_interval():
    assert gains.gain_row(np.ones((1, 2)), (8, 16), 0.05) == dict.fromkeys(KEYS)


def test_total_gain():
    assert gains.total_gain(np.array([0.1, 0.2, 0.7]), (1, 2, 4)) == pytest.approx(0.6)
