"""Finds the best of a run's sweeps by one of their numbers."""

from __future__ import annotations

from collections.abc import Sequence

from eval.numbers.summary import Row
from recipes.guard import METRICS, SweepMetric


def best_step(rows: Sequence[Row], metric: SweepMetric, steps: Sequence[int]) -> tuple[int, float] | None:
    """(step, value) of the best sweep among those at `steps`; ties go to the earlier one; None without any."""
    values = metric_values(rows, metric)
    there = [(step, values[step]) for step in sorted(steps) if step in values]
    return max(there, key=lambda pair: (pair[1], -pair[0])) if there else None


def metric_values(rows: Sequence[Row], metric: SweepMetric) -> dict[int, float]:
    """The metric at every step at which the run was swept, in the order of the steps."""
    of_suite = sorted(
        (row for row in rows if (row["model"], row["suite"]) == ("run", metric.suite)),
        key=lambda row: (row["step"], row["budget"] is None, row["budget"] or 0),
    )
    values: dict[int, float] = {}
    for row in of_suite:
        of_a_budget = row["budget"] is not None
        value = row.get(METRICS[metric.name])
        if of_a_budget == (METRICS[metric.name] == "accuracy") and value is not None:
            values[row["step"]] = float(value)  # of the largest budget, which comes last
    return values
