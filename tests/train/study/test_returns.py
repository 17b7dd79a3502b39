"""What comes back first."""

from __future__ import annotations

from dataclasses import replace

from eval.show.sections import HalfBack
from tests.train.study.made_results import arm, summary_rows, trained
from train.study.results import ArmResult
from train.study.returns import first_back, half_back_cells


def half(step: int | None, lost: bool = True) -> HalfBack:
    return HalfBack("", 0.2, 0.9, step, lost)


def test_the_steps_of_each_training() -> None:
    """Half of the loss from .9 to .2 is back at .55: by step 20 in one training, never in the other."""
    trainings = [replace(trained((0, 0, 0, 0.9), 1), rows=summary_rows(levels)) for levels in ((0.3, 0.6), (0.3, 0.5))]
    cells = half_back_cells(ArmResult("a", "a", tuple(trainings)), "chain")
    assert cells == ["20, not yet", "20, not yet", "20, not yet", "differs"]


def test_equal_steps_are_said_once() -> None:
    assert half_back_cells(arm("back"), "chain")[1] == "20"


def test_the_earliest_of_all_trainings() -> None:
    early = {"termination": half(10), "level": half(20), "gain per doubling": half(None)}
    assert first_back([early, early]) == "termination"
    assert first_back([{"termination": half(10), "level": half(10)}]) == "termination and level"


def test_what_was_not_lost_cannot_come_first() -> None:
    assert first_back([{"termination": half(0, lost=False), "level": half(20)}]) == "level"
    assert first_back([{"level": half(None)}]) == "nothing yet"
