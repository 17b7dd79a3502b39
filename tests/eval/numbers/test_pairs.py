"""Runs against each other."""

import numpy as np
import pytest

from eval.numbers.contrasts import contrast, reach, spread
from eval.numbers.pairs import differences, gain_weights, holm, least_error, p_value


def test_holm_by_hand():
    # smallest times 4, next times 3, … and never below one before: .004 * 4, .01 * 3, .03 * 2, .04 -> .06
    assert holm([0.03, 0.004, 0.04, 0.01]) == pytest.approx([0.06, 0.016, 0.06, 0.03])
    assert holm([0.6, 0.9]) == [1.0, 1.0] and holm([]) == []


def test_the_p_value_is_the_error_at_which_the_interval_just_reaches_0():
    values = np.random.default_rng(2).normal(0.1, 0.5, 90)
    p = p_value(values, 0.0)
    interval = contrast(values, 0.0, p)
    assert min(abs(interval.low), abs(interval.high)) == pytest.approx(0, abs=1e-6) and 0 < p < 1


def _by_halving(values, scale):
    deviation, skewness = spread(values)

    def excludes(error):
        below, above = reach(deviation, skewness, scale, len(values), error)
        return bool(values.mean() > below or values.mean() < -above)

    return least_error(excludes)


@pytest.mark.parametrize("scale", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("problems", [2, 9, 200])
def test_the_closed_form_of_the_p_value_is_what_halving_finds(scale, problems):
    generator = np.random.default_rng(problems)
    skewed = generator.exponential(1.0, problems) - 0.7
    few = (np.arange(problems) == 0) - 0.0  # one problem differs
    for values in (skewed, -skewed, few, -few, np.full(problems, 0.2), np.zeros(problems)):
        assert p_value(values, scale) == pytest.approx(_by_halving(values, scale), rel=1e-9)


def test_against_one_run_there_are_fewer_pairs_to_correct_for():
    generator = np.random.default_rng(5)
    means = {
        name: (generator.random((200, 1)) < share).astype(float)
        for name, share in zip("abc", (0.6, 0.5, 0.4), strict=True)
    }
    levels = [each for each in differences(means, (8,), against="b") if each.what == "level"]
    assert [(each.first, each.second) for each in levels] == [("a", "b"), ("c", "b")]
    first, second = sorted(levels, key=lambda each: each.p)
    # by hand: the smaller of two times 2, the larger times 1 and never below
    assert (first.adjusted, second.adjusted) == (2 * first.p, max(2 * first.p, second.p))


def test_equal_runs_differ_in_nothing():
    same = (np.random.default_rng(1).random((50, 3)) < 0.5).astype(float)
    found = differences({"a": same, "b": same}, (8, 16, 32))
    assert {(each.what, each.budget) for each in found} == {
        ("gain per doubling", None),
        ("level", 32),
        *(("accuracy", budget) for budget in (8, 16, 32)),
    }
    assert all((each.estimate, each.p, each.adjusted) == (0, 1, 1) for each in found)


def test_all_pairs_by_problem_with_the_correction_of_their_number():
    generator = np.random.default_rng(3)
    luck = generator.random((300, 1))
    means = {
        name: (luck < np.array(a)).astype(float)
        for name, a in (("a", (0.3, 0.8)), ("b", (0.3, 0.7)), ("c", (0.3, 0.3)))
    }
    levels = [each for each in differences(means, (8, 16)) if each.what == "level"]
    assert [(each.first, each.second) for each in levels] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert levels[0].estimate == pytest.approx(float((means["a"] - means["b"])[:, 1].mean())) and levels[0].low > 0
    assert [each.adjusted for each in levels] == holm([each.p for each in levels])
    gains = [each for each in differences(means, (8, 16)) if each.budget is None]
    assert gains[1].estimate == pytest.approx(float(((means["a"] - means["c"]) @ [-1, 1]).mean()))


def test_one_budget_has_no_gain_and_one_problem_nothing():
    one = {"a": np.ones((9, 1)), "b": np.zeros((9, 1))}
    assert [each.what for each in differences(one, (8,))] == ["level", "accuracy"]
    assert differences({"a": np.ones((1, 2)), "b": np.ones((1, 2))}, (8, 16)) == []


def test_weights_of_the_gain():
    assert gain_weights((1, 2, 4, 8, 16)) == pytest.approx([-0.2, -0.1, 0, 0.1, 0.2])
