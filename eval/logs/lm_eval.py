"""`samples_TASK_DATE.jsonl` of lm-evaluation-harness (`--log_samples`): one row per problem and filter.

A row has "doc_id", "doc_hash", "filter", "metrics" (names) and one key per metric. For repeated problems, tasks grade
the combined result of the filter, so a problem has one thought here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_prep.traces.rows import jsonl_rows
from eval.logs.graded import Graded, chosen_metric, is_right
from recipes.errors import UserError

KEYS = ("doc_id", "doc_hash", "filter", "metrics")


def is_lm_eval(row: Any) -> bool:
    """Whether the first row of a file is one of these."""
    return isinstance(row, dict) and all(key in row for key in KEYS)


def read_lm_eval(path: Path, metric: str | None) -> Iterator[Graded]:
    """The thoughts of one filter; `metric`: NAME or NAME,FILTER as lm-eval prints them; default: the first of each.

    Raises UserError (file:line) for a row of another kind, or if no row has the filter.
    """
    name, _, wanted = (metric or "").partition(",")
    found = False
    for place, row in jsonl_rows(path, "eval.logs"):
        if not is_lm_eval(row):
            raise UserError(f"{place}: not a row of lm-evaluation-harness, which has {', '.join(KEYS)}")
        wanted = wanted or str(row["filter"])
        if row["filter"] != wanted:
            continue
        found = True
        of_row = chosen_metric(row["metrics"], name or None, place)
        # the same document has the same hash in every run of the task
        yield Graded(f"{row['doc_id']} {row['doc_hash'][:12]}", 0, is_right(row.get(of_row), of_row, place))
    if not found:
        raise UserError(f"{path}: no rows of filter {wanted}" if wanted else f"{path}: no rows")
