"""Logs of other tools instead of runs: NAME@BUDGET=FILE; several budgets of one name are one curve."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eval.comparing.finished import Finished
from eval.comparing.grades import Grades
from eval.logs.read import Log, check_budgets, log_rows
from eval.numbers.gains import base, gain_row, level
from eval.numbers.statistics import ERROR, accuracy_interval
from eval.numbers.summary import Row
from recipes.errors import UserError

SUITE = "logs"


def grades_of(logs: Sequence[Log], metric: str | None) -> tuple[dict[str, Grades], list[str]]:
    """The grades by name, for the problems that the name has at all its budgets, and notes on what was left out.

    Raises UserError if names have different budgets, a budget is given twice, or no problem is left.
    """
    budgets = check_budgets(logs)
    right: defaultdict[tuple[str, str], defaultdict[int, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for _, row in log_rows(logs, metric):
        right[row["model"], row["problem"]][row["budget"]].append(row["correct"])
    found, said = {}, []
    for name in dict.fromkeys(log.model for log in logs):
        at_all = {problem: by for (of, problem), by in right.items() if of == name and len(by) == len(budgets)}
        lost = sum(of == name for of, _ in right) - len(at_all)
        said += [f"{name}: {lost} problems are left out, since some of its logs lack them"] if lost else []
        if not at_all:
            raise UserError(f"{name}: its logs have no problem in common; give logs of the same task")
        means = np.array([[np.mean(by[budget]) for budget in budgets] for by in at_all.values()], dtype=np.float64)
        found[name] = Grades(tuple(at_all), tuple(budgets), means, None)
    return found, said


def as_run(name: str, grades: Grades) -> Finished:
    """Grades in the form of a run about which nothing else is known."""
    of_all: Row = {"step": 0, "model": "run", "suite": SUITE, "protocol": "", "problems": len(grades.problems)}
    means = grades.means
    final = []
    for k, budget in enumerate(grades.budgets):
        low, high = accuracy_interval(means[:, k])
        final.append({**of_all, "budget": budget, "accuracy": float(means[:, k].mean()), "low": low, "high": high})
    accuracy = means.mean(axis=0)
    numbers = {"level": level(accuracy, grades.budgets), "base": base(accuracy, grades.budgets), "termination": None}
    summary = {**of_all, "budget": None, **numbers, **gain_row(means, grades.budgets, ERROR)}
    return Finished(name, SUITE, tuple(final), summary, (*final, summary), Path(), {}, "-")
