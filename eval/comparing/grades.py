"""Which problems a sweep answered correctly, read from its samples file without the thoughts.

A comparison needs one number per problem and budget, but a samples file is nearly all text. So the text of a thought is
removed from its line before the line is parsed, and nothing that needs transformers is imported.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.numbers.statistics import Array
from recipes.errors import UserError
from runtime.files import objects_of

# Inside a JSON string every quote has a backslash before it, so neither of these can be part of a thought.
THOUGHT_BEGINS, THOUGHT_ENDS = b'"thinking": "', b'", "answers": ['


@dataclass(frozen=True)
class Grades:
    """Share of correct thoughts, `means` [problems, budgets], in the order of each problem's first thought; `groups` of
    the problems that have one, None if none has."""

    problems: tuple[str, ...]
    budgets: tuple[int, ...]
    means: Array
    groups: dict[str, str] | None

    def of(self, problems: list[str]) -> Array:
        """The rows of `problems`, [problems, budgets]."""
        place = {problem: row for row, problem in enumerate(self.problems)}
        return self.means[[place[problem] for problem in problems]]


def read_grades(path: Path) -> Grades:
    """The grades in a samples file. Raises UserError if the file was edited or truncated."""
    try:
        with path.open("rb") as file:  # only a newline ends a line
            budgets = tuple(map(int, json.loads(file.readline())["budgets"]))
            lines = [_without_thought(line.rstrip(b"\n")) for line in file]
        rows = objects_of(lines)
        return _grades(budgets, list(map(json.loads, lines)) if rows is None else rows)
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise UserError(f"{path}: damaged, not the samples file of a sweep ({fault}); remove it") from None


def _without_thought(line: bytes) -> bytes:
    """The line of a samples file with an empty thought; unchanged if it has another layout."""
    begin = line.find(THOUGHT_BEGINS) + len(THOUGHT_BEGINS)
    end = line.find(THOUGHT_ENDS, begin)
    return line[:begin] + line[end:] if begin >= len(THOUGHT_BEGINS) and end >= 0 else line


def _grades(budgets: tuple[int, ...], thoughts: list[dict[str, Any]]) -> Grades:
    column = {budget: k for k, budget in enumerate(budgets)}
    right: dict[str, list[int]] = {}
    counted: dict[str, list[int]] = {}
    groups: dict[str, str] = {}
    for thought in thoughts:
        problem = thought["problem"]
        if thought["answers"] and problem not in right:  # a missing thought has none
            right[problem], counted[problem] = [0] * len(budgets), [0] * len(budgets)
        for answer in thought["answers"]:
            sums, counts = right[problem], counted[problem]
            for budget in answer["budgets"]:
                sums[column[budget]] += bool(answer["correct"])
                counts[column[budget]] += 1
        if thought.get("group"):
            groups[problem] = thought["group"]
    if lacking := [problem for problem, counts in counted.items() if 0 in counts]:
        raise ValueError(f"problem {lacking[0]!r} has no answer at one of its budgets")
    means = np.array([right[problem] for problem in right], dtype=np.float64).reshape(len(right), len(budgets))
    means /= np.array([counted[problem] for problem in right]).reshape(means.shape)
    return Grades(tuple(right), budgets, means, groups or None)
