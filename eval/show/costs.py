"""Whether a recovered model pays, from a run's record and its sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from eval.numbers.pays import pays_line
from eval.numbers.summary import Row, at_step, newest, steps, suites


def pays_text(record: Mapping[str, Any], rows: Sequence[Row], suite: str) -> str:
    """The newest sweep's answer in a sentence; "" if an earlier version has recorded neither costs nor sizes."""
    parameters, summary = record.get("parameters"), newest(rows, "run", suite)[1]
    if not parameters or not summary or "cost_factor" not in summary:
        return ""
    share = parameters["pruned"] / parameters["unpruned"]
    return pays_line(summary["cost_factor"], summary["token_inflation"], share, seconds_share(record, rows))


def seconds_share(record: Mapping[str, Any], rows: Sequence[Row]) -> float | None:
    """Seconds per token of the run over those of the unpruned model; None if one was not timed or they are not
    comparable: a sweep in the background shares the machine with training, and a separate engine loads the model each
    time."""
    sweep = (record.get("recipe") or {}).get("sweep") or {}
    if sweep.get("background") or (sweep.get("engine") or {}).get("name", "hf") != "hf":
        return None
    run, unpruned = seconds_per_token(rows, "run"), seconds_per_token(rows, "unpruned")
    return None if run is None or unpruned is None else run / unpruned


def seconds_per_token(rows: Sequence[Row], model: str) -> float | None:
    """Wall-clock seconds of a model's sweeps over the tokens of thought and answer at the largest budget, all suites
    together: the median over its sweeps, since a resumed one took less; None if none was timed."""
    found = []
    for step in sorted({step for suite in suites(rows) for step in steps(rows, model, suite)}):
        sweeps = [at_step(rows, model, suite, step) for suite in suites(rows)]
        seconds: list[float] = [
            summary["seconds"] for _, summary in sweeps if summary and summary.get("seconds") is not None
        ]
        tokens = sum(_tokens(at_budgets[-1]) for at_budgets, _ in sweeps if at_budgets)
        if seconds and tokens:
            found.append(seconds[0] / tokens)  # every suite's row has the seconds of the whole sweep
    return median(found) if found else None


def _tokens(row: Row) -> float:
    thoughts = (row.get("problems") or 0) * (row.get("samples") or 0) - (row.get("missing") or 0)
    return float(row.get("total_tokens") or 0) * thoughts
