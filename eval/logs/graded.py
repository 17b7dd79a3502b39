"""A graded thought from another tool's log, and how that tool marks it as right."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any, NamedTuple

from recipes.errors import UserError

RIGHT, WRONG = ("C", 1, True), ("I", "N", 0, False)
"""correct; incorrect or no answer (`C`, `I`, `N` are Inspect's letters)"""


class Graded(NamedTuple):
    """One thought on `problem`, which has the same name in every log with the same question."""

    problem: str
    sample: int
    correct: bool


def is_right(value: Any, metric: str, place: str) -> bool:
    """Whether a value of `metric` is right. Raises UserError for any other value, such as a partial credit or a mean
    over several thoughts."""
    if isinstance(value, str | int | float):
        for grade, values in ((True, RIGHT), (False, WRONG)):
            if value in values:
                return grade
    raise UserError(
        f"{place}: {metric}={value!r} is neither right (1) nor wrong (0); name another metric with metric=NAME"
    )


def chosen_metric(known: Collection[str], metric: str | None, place: str) -> str:
    """`metric`, or the first one that a log has. Raises UserError if the log has no such metric, or none."""
    if metric is None and known:
        return next(iter(known))
    if metric not in known:
        raise UserError(f"{place}: no metric {metric}; it has {', '.join(known) or 'none'}")
    return str(metric)


def problem_name(number: Any, question: str) -> str:
    """The name of a problem that a log only numbers; its question distinguishes it from others of the same number."""
    return f"{number} {hashlib.sha256(question.encode()).hexdigest()[:12]}"
