"""Logs of other tools as rows of `eval.verdict`: MODEL@BUDGET=FILE names the model of a log and its thinking budget."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.logs.graded import Graded
from eval.logs.inspect_ai import read_inspect
from eval.logs.lighteval import read_lighteval
from eval.logs.lm_eval import is_lm_eval, read_lm_eval
from recipes.errors import UserError

FORM = "NAME@BUDGET=FILE"


@dataclass(frozen=True)
class Log:
    """A file with the results of `model` within `budget` thinking tokens."""

    model: str
    budget: int
    path: Path


def named_log(argument: str) -> Log | None:
    """The log named by an argument NAME@BUDGET=FILE; None for an argument of another form."""
    match = re.fullmatch(r"([^@=]+)@(\d{1,9})=(.+)", argument, re.ASCII)
    return Log(match[1], int(match[2]), Path(match[3])) if match else None


def check_budgets(logs: Sequence[Log]) -> list[int]:
    """The budgets of all models, increasing. Raises UserError if models have different ones, or one twice."""
    names = list(dict.fromkeys(log.model for log in logs))
    budgets = {name: sorted(log.budget for log in logs if log.model == name) for name in names}
    first = names[0]
    for name, of_name in budgets.items():
        if len(set(of_name)) < len(of_name):
            raise UserError(f"{name}: a budget is given twice ({of_name}); give one log per budget")
        if of_name != budgets[first]:
            raise UserError(f"{name} has logs at {of_name}, {first} at {budgets[first]}; compare at the same budgets")
    return budgets[first]


def complete_rows(logs: Sequence[Log], metric: str | None) -> tuple[list[tuple[str, dict[str, Any]]], int]:
    """`log_rows` for the thoughts that a model has at all its budgets, and how many it has at only some of them."""
    budgets, rows = check_budgets(logs), list(log_rows(logs, metric))
    at = Counter((row["model"], row["problem"], row["sample"]) for _, row in rows)
    kept = [(place, row) for place, row in rows if at[row["model"], row["problem"], row["sample"]] >= len(budgets)]
    return kept, sum(times < len(budgets) for times in at.values())


def log_rows(logs: Iterable[Log], metric: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, row) of every thought, with the keys of a row of `eval.verdict`. Raises UserError if a file is not from a
    supported tool."""
    for log in logs:
        for graded in read_log(log.path, metric):
            row = {"problem": graded.problem, "sample": graded.sample, "correct": graded.correct}
            yield str(log.path), {"model": log.model, "budget": log.budget, **row}


def read_log(path: Path, metric: str | None) -> Iterator[Graded]:
    """The thoughts of a log of lm-evaluation-harness, Inspect or lighteval, recognised by its contents."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; give a log as {FORM}")
    with path.open("rb") as file:
        begin = file.read(4)
    if begin == b"PAR1":
        return read_lighteval(path, metric)
    if begin == b"PK\x03\x04" or path.suffix == ".json":
        return read_inspect(path, metric)
    if is_lm_eval(_first_row(path)):
        return read_lm_eval(path, metric)
    raise UserError(
        f"{path}: not a supported log; supported are samples_*.jsonl of lm-evaluation-harness, .eval and .json of "
        "Inspect, and details_*.parquet of lighteval"
    )


def _first_row(path: Path) -> Any:
    with path.open("rb") as file:
        try:
            return json.loads(file.readline(2**26))
        except (ValueError, RecursionError):
            return None
