"""The numbers of a run under their names in a tracker. Pure functions: rows and facts in, flat values out.

train/…                   the record of training, over train/global_step
recovery/…                the verdict suite, over recovery/step: the few numbers that a chart of recovery needs
detail/<suite>/…          every number of every suite, over recovery/step, hidden from automatic charts
reference/<model>/<suite>/…   the unpruned model and the pruned one before training, once
confirmed/…               the kept checkpoint on problems that no sweep saw
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from eval.numbers.summary import at_step, newest, suites

Row = dict[str, Any]
Values = dict[str, float | str]

AT_BUDGET = {
    "accuracy": "acc",
    "low": "low",
    "high": "high",
    "closed": "closed",
    "looping": "looping",
    "cut": "cut",
    "tokens_spent": "tokens",
    "answer_tokens": "answer_tokens",
}
OF_A_SWEEP = ("level", "base", "gain_per_doubling", "gain_low", "gain_high", "termination", "verdict")
CONFIRMED = (
    *("step", "problems", "verdict", "level", "level_low", "level_high"),
    *("gain_per_doubling", "gain_low", "gain_high"),
)

VERDICT_SCORE = {
    "RETURNED": 3,
    "PARTIAL": 2,
    "UNDECIDED": 1,
    "NOT RETURNED": 0,
    "NOTHING LOST": -1,
    "NO SCALING HERE": -1,
}
"""the verdict as a number, for sorting runs and as the target of a W&B sweep: larger is better; -1: the suite cannot
show recovery"""

TRAIN_STEP, SWEEP_STEP = "train/global_step", "recovery/step"


def training_values(numbers: Mapping[str, Any], step: int) -> Values:
    """A row of metrics.jsonl as `train/loss`, `train/learning_rate` …; unknown values are left out."""
    known = {key: value for key, value in numbers.items() if value is not None and key != "step"}
    return {**{f"train/{key}": value for key, value in known.items()}, TRAIN_STEP: step}


def recovery_values(rows: Sequence[Row], suite: str) -> Values:
    """The numbers of one sweep of a run on the verdict suite: level, gain, recovered fraction, share of the gain and
    termination, each with its bounds if it has any, and the verdict as a word and as a number."""
    steps = [row["step"] for row in rows if row["suite"] == suite]
    at_budgets, summary = at_step(rows, "run", suite, steps[-1]) if steps else ([], None)
    if not at_budgets or summary is None:
        return {}
    largest = at_budgets[-1]
    fractions = {row["budget"]: row for row in summary.get("recovered_fraction") or []}
    values = {
        "level": largest["accuracy"],
        "level_low": largest["low"],
        "level_high": largest["high"],
        **{key: summary[key] for key in ("gain_per_doubling", "gain_low", "gain_high", "termination")},
        **_share("recovered_fraction", fractions.get(largest["budget"])),
        **_share("gain_share", summary.get("gain_share")),
        "verdict": summary.get("verdict"),
        "verdict_score": VERDICT_SCORE.get(str(summary.get("verdict"))),
    }
    return {**{f"recovery/{key}": value for key, value in values.items() if _is_known(value)}, SWEEP_STEP: steps[-1]}


def _share(name: str, row: Mapping[str, Any] | None) -> Row:
    """A share with its bounds under the names of the curves; {} if it is undefined."""
    return {name: row["fraction"], f"{name}_low": row["low"], f"{name}_high": row["high"]} if row else {}


def _is_known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def detail_values(rows: Sequence[Row]) -> Values:
    """Every number of one sweep: `detail/chain/acc@b128`, `detail/chain/level` …"""
    return {f"detail/{key}": value for key, value in _all_numbers(rows).items()}


def reference_values(rows: Sequence[Row]) -> Values:
    """Every number of the sweep of a reference: `reference/unpruned/chain/acc@b128` …"""
    return {f"reference/{rows[0]['model']}/{key}": value for key, value in _all_numbers(rows).items()} if rows else {}


def _all_numbers(rows: Sequence[Row]) -> Values:
    values: Values = {}
    for row in rows:
        names = AT_BUDGET if row["budget"] is not None else dict(zip(OF_A_SWEEP, OF_A_SWEEP, strict=True))
        place = f"@b{row['budget']}" if row["budget"] is not None else ""
        known = {short: row.get(key) for key, short in names.items() if _is_known(row.get(key))}
        values |= {f"{row['suite']}/{short}{place}": value for short, value in known.items() if value is not None}
    return values


def confirmed_values(confirmed: Mapping[str, Any] | None) -> dict[str, Any]:
    """The figures of a confirmed checkpoint for the summary: `confirmed/verdict`, `confirmed/level` …; {} if none."""
    return {f"confirmed/{key}": confirmed[key] for key in CONFIRMED} if confirmed else {}


def newest_values(rows: Sequence[Row], metrics: Sequence[Row], suite: str) -> Values:
    """The values for a run's summary, from its folder alone: the references, the newest sweep, the last row of
    training. A start that logs none of them again has the same summary as the one that did."""
    values: Values = {}
    for model in ("unpruned", "pruned"):
        values |= reference_values([row for row in rows if row["model"] == model])
    for name in suites(rows):
        at_budgets, summary = newest(rows, "run", name)
        values |= detail_values([*at_budgets, *([summary] if summary else [])])
    at_budgets, summary = newest(rows, "run", suite)
    values |= recovery_values([*at_budgets, *([summary] if summary else [])], suite)
    return values | (training_values(metrics[-1], metrics[-1]["step"]) if metrics else {})
