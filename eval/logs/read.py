"""Logs of other tools as the rows of `eval.verdict`: MODEL@BUDGET=FILE says which model a log is of, and what it could
spend."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
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
    """The log that an argument NAME@BUDGET=FILE names; None for an argument of another form."""
    match = re.fullmatch(r"([^@=]+)@(\d{1,9})=(.+)", argument, re.ASCII)
    return Log(match[1], int(match[2]), Path(match[3])) if match else None


def log_rows(logs: Iterable[Log], metric: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, row) of every thought, with the keys of a row of `eval.verdict`. UserError where a file is none of a tool
    that is read here."""
    for log in logs:
        for graded in read_log(log.path, metric):
            row = {"problem": graded.problem, "sample": graded.sample, "correct": graded.correct}
            yield str(log.path), {"model": log.model, "budget": log.budget, **row}


def read_log(path: Path, metric: str | None) -> Iterator[Graded]:
    """The thoughts of a log of lm-evaluation-harness, Inspect or lighteval, told apart by their contents."""
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
        f"{path}: not a log that is read here, which are samples_*.jsonl of lm-evaluation-harness, .eval and .json of "
        "Inspect, and details_*.parquet of lighteval"
    )


def _first_row(path: Path) -> Any:
    with path.open("rb") as file:
        try:
            return json.loads(file.readline(2**26))
        except (ValueError, RecursionError):
            return None
