"""What recovers first in an arm's trainings: termination, level or gain, by the step with half of the loss
recovered."""

from __future__ import annotations

from collections.abc import Sequence

from eval.numbers.summary import Row
from eval.show.sections import HalfBack, half_back
from train.study.results import ArmResult

SHOWN = ("termination", "level", "gain per doubling")
NEVER = float("inf")


def half_back_cells(arm: ArmResult, suite: str) -> list[str]:
    """The steps at which half of the loss of each of SHOWN was recovered, for each training, and which came first."""
    found = [_by_name(training.rows, suite) for training in arm.trainings]
    cells = [_steps([each.get(name) for each in found]) for name in SHOWN]
    return [*cells, first_back(found)]


def _by_name(rows: Sequence[Row], suite: str) -> dict[str, HalfBack]:
    return {each.name: each for each in half_back(rows, suite) if each.name in SHOWN}


def _steps(found: Sequence[HalfBack | None]) -> str:
    if not any(each is not None and each.lost for each in found):
        return "was not lost"
    said = [
        "-" if each is None or not each.lost else "not yet" if each.step is None else str(each.step) for each in found
    ]
    return said[0] if len(set(said)) == 1 else ", ".join(said)


def first_back(found: Sequence[dict[str, HalfBack]]) -> str:
    """What recovered first in every training; `differs` if trainings disagree, `nothing yet` if nothing has."""
    firsts = set()
    for of_one in found:
        at = {name: NEVER if each.step is None else each.step for name, each in of_one.items() if each.lost}
        earliest = min(at.values(), default=NEVER)
        firsts.add(() if earliest == NEVER else tuple(name for name in SHOWN if at.get(name) == earliest))
    if len(firsts) > 1:
        return "differs"
    (names,) = firsts or {()}
    return " and ".join(names) or "nothing yet"
