"""`details_TASK_DATE.parquet` of lighteval (`--save-details`): one row per problem with "doc", "metric" and
"model_response".

A problem with several answers has their mean as its metric `avg@n` or `pass@k:k=1`. The file does not record which of
them were right; since nothing here depends on it, the first ones are counted as right. Any other metric grades all
answers together (`maj@n`), and the problem has one thought.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_prep.traces.rows import file_rows
from eval.logs.graded import Graded, chosen_metric, is_right, problem_name
from recipes.errors import UserError

MEANS = ("avg@", "pass@k:k=1&", "pass@1:")
COLUMNS = ("doc", "metric", "model_response")


def read_lighteval(path: Path, metric: str | None) -> Iterator[Graded]:
    """The thoughts of a task; `metric`: by default the first. Raises UserError if the file is not from lighteval."""
    for number, (place, row) in enumerate(file_rows(path, "eval.logs")):
        if not isinstance(row, dict) or not set(COLUMNS) <= set(row):
            raise UserError(f"{place}: not the details of lighteval, which have the columns {', '.join(COLUMNS)}")
        # a struct column has the metrics of all rows; those of other rows are null
        values = {name: value for name, value in (row["metric"] or {}).items() if value is not None}
        name = chosen_metric(values, metric, place)
        problem = problem_name(row["doc"].get("id") or number, str(row["doc"].get("query")))
        for sample, correct in enumerate(_grades(values[name], row["model_response"], name, place)):
            yield Graded(problem, sample, correct)


def _grades(value: Any, response: Any, metric: str, place: str) -> list[bool]:
    """One grade per answer if `metric` is their mean, else one for all answers."""
    answers = len((response or {}).get("text") or [])
    if answers < 2 or not metric.startswith(MEANS) or not isinstance(value, int | float):
        return [is_right(value, metric, place)]
    right = round(value * answers)
    if not 0 <= right <= answers or abs(value * answers - right) > 1e-6:
        raise UserError(f"{place}: {metric}={value!r} is not a mean of {answers} answers that are right or wrong")
    return [sample < right for sample in range(answers)]
