"""Whether a recovered model pays, from a run's record and its sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eval.numbers.pays import pays_line
from eval.numbers.summary import Row, newest


def pays_text(record: Mapping[str, Any], rows: Sequence[Row], suite: str) -> str:
    """The newest sweep's answer in a sentence; "" if an earlier version has recorded neither costs nor sizes."""
    parameters, summary = record.get("parameters"), newest(rows, "run", suite)[1]
    if not parameters or not summary or "cost_factor" not in summary:
        return ""
    share = parameters["pruned"] / parameters["unpruned"]
    return pays_line(summary["cost_factor"], summary["token_inflation"], share, seconds_share(rows))


def seconds_share(rows: Sequence[Row]) -> float | None:
    """Seconds per token of the pruned model over those of the unpruned one; None unless both were swept by this run.

    The recovered model has the pruned one's shape, and its export its speed: during training it may be slower, since an
    adapter is not merged yet.
    """
    seconds = {row["model"]: row.get("seconds_per_token") for row in rows}
    pruned, unpruned = seconds.get("pruned"), seconds.get("unpruned")
    return pruned / unpruned if pruned and unpruned else None
