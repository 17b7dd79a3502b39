"""The figures of planted results."""

from __future__ import annotations

import pytest

from tests.train.study.made_results import RESULTS, STUDY, arm
from train.study.figures import arms_figure, mean_way, tokens_figure
from train.study.findings import findings

FOUND = findings(STUDY, RESULTS)


def test_an_interval_for_each_arm() -> None:
    left, right = arms_figure(FOUND).axes
    points = [line.get_xdata()[0] for line in left.get_lines() if line.get_marker() == "o"]
    assert [round(float(point), 2) for point in points] == [1.0, 0.0, 0.8]
    assert len([line for line in right.get_lines() if line.get_marker() == "o"]) == 3


def test_a_line_for_each_arm_and_one_for_the_unpruned_model() -> None:
    (axes,) = tokens_figure(FOUND).axes
    assert [str(line.get_label()) for line in axes.get_lines()] == [
        *(each.arm.title for each in FOUND.arms),
        "unpruned",
    ]


def test_a_way_is_the_mean_over_trainings() -> None:
    tokens, level = mean_way(arm("back"))
    assert tokens == [0.0, 1000.0] and level == pytest.approx([0.2, 0.9])
