"""A graded thought of another tool's log, and how that tool says whether it is right."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any, NamedTuple

from recipes.errors import UserError

RIGHT, WRONG = ("C", 1, True), ("I", "N", 0, False)
"""correct; incorrect or no answer (`C`, `I`, `N` are Inspect's letters)"""


class Graded(NamedTuple):
    """One thought on `problem`, which has the same name in every log that asks the same question."""

    problem: str
    sample: int
    correct: bool


def is_right(value: Any, metric: str, place: str) -> bool:
    """Whether a value of `metric` is right. UserError for one that is neither right nor wrong, such as a partial credit
    or a mean over several thoughts."""
    if isinstance(value, str | int | float):
        for grade, values in ((True, RIGHT), (False, WRONG)):
            if value in values:
                return grade
    raise UserError(
        f"{place}: {metric}={value!r} is neither right (1) nor wrong (0); name a metric that is with metric=NAME"
    )


def chosen_metric(known: Collection[str], metric: str | None, place: str) -> str:
    """`metric`, or the first one that a log has. UserError where it has no such metric, or none."""
    if metric is None and known:
        return next(iter(known))
    if metric not in known:
        raise UserError(f"{place}: no metric {metric}; it has {', '.join(known) or 'none'}")
    return str(metric)


def problem_name(number: Any, question: str) -> str:
    """A problem that a log only numbers, told apart from another one of the same number by its question."""
    return f"{number} {hashlib.sha256(question.encode()).hexdigest()[:12]}"
