"""Rows by group: the mean stays, the spread is that of groups."""

import numpy as np
import pytest

from eval.numbers.contrasts import contrast
from eval.numbers.groups import by_group, clustered, groups_of, joint_groups
from eval.numbers.statistics import accuracy_interval


def test_by_hand():
    # mean 0.5; distances .5 and .5 in a, -.5 in b, -.5 in c; three groups of four problems, so a unit is 3 / 4
    rows = by_group(np.array([1.0, 1.0, 0.0, 0.0]), ["a", "a", "b", "c"])
    assert rows.tolist() == [0.5 + 0.75, 0.5 - 0.375, 0.5 - 0.375]


def test_the_mean_of_the_rows_is_that_of_the_problems_by_column():
    values = np.random.default_rng(0).random((37, 4))
    rows = by_group(values, [f"g{k % 7}" for k in range(37)])
    assert rows.shape == (7, 4) and rows.mean(axis=0) == pytest.approx(values.mean(axis=0))


def test_a_problem_alone_in_its_group_is_itself():
    values = np.random.default_rng(0).random(9)
    assert by_group(values, [str(k) for k in range(9)]) == pytest.approx(values)
    assert clustered(values, [str(k) for k in range(9)], None) is values


def test_a_problem_without_a_group_is_one_of_its_own():
    assert groups_of(["a", "b", "c"], {"a": "x", "c": "x"}) == ["x", "problem b", "x"]
    assert groups_of(["a"], None) is None


def test_what_sweeps_know_of_groups_is_put_together():
    assert joint_groups([None, {"a": "x"}, {"a": "x", "b": "y"}]) == {"a": "x", "b": "y"}
    assert joint_groups([None, None]) == {}
    assert joint_groups([{"a": "x"}, {"a": "y"}]) is None


def test_groups_of_like_problems_widen_the_interval_and_it_covers():
    """Groups of 20 whose problems are right or wrong together with chance 0.3: plain intervals are far too narrow."""
    generator, plain, grouped = np.random.default_rng(4), 0, 0
    groups = [str(k // 20) for k in range(800)]
    for _ in range(400):
        shared = np.repeat(generator.random(40) < 0.6, 20)
        right = np.where(generator.random(800) < 0.55, shared, generator.random(800) < 0.6).astype(float)
        low, high = accuracy_interval(right)
        plain += low <= 0.6 <= high
        low, high = accuracy_interval(by_group(right, groups))
        grouped += low <= 0.6 <= high
        assert contrast(by_group(right, groups), 1.0, 0.05).estimate == pytest.approx(right.mean())
    assert plain / 400 < 0.8 and grouped / 400 > 0.93 - 2.5 * 0.011
