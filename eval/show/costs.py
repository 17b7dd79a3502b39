"""Whether a recovered model pays, from a run's record and its sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eval.numbers.pays import pays_line
from eval.numbers.summary import Row, newest


def pays_text(record: Mapping[str, Any], rows: Sequence[Row], suite: str) -> str:
    """The newest sweep's answer in a sentence; "" where an earlier version has recorded neither costs nor sizes."""
    parameters, summary = record.get("parameters"), newest(rows, "run", suite)[1]
    if not parameters or not summary or "cost_factor" not in summary:
        return ""
    share = parameters["pruned"] / parameters["unpruned"]
    return pays_line(summary["cost_factor"], summary["token_inflation"], share)
