"""A comparison of runs as one JSON-safe document with unrounded numbers, from which tables are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from eval.comparing.finished import Finished
from eval.comparing.pairing import Pairs
from eval.comparing.recipe_keys import Absent, differing
from eval.numbers.summary import Row

REFERENCES = ("unpruned", "pruned")
OF_A_SWEEP = (
    "level",
    "base",
    "gain_per_doubling",
    "gain_low",
    "gain_high",
    "total_gain",
    "total_low",
    "total_high",
    "termination",
    "pass_at_k",
    "maj_at_k",
    "recovered_fraction",
    "level_share",
    "gain_share",
    "verdict",
    "verdict_line",
    "verdict_error",
)
OF_A_BUDGET = (
    "budget",
    "accuracy",
    "low",
    "high",
    "tokens_spent",
    "answer_tokens",
    "total_tokens",
    "closed",
    "cut",
    "looping",
    "problems",
    "samples",
    "missing",
    "accuracy_if_missing_wrong",
)


@dataclass(frozen=True)
class Reference:
    """An unpruned or pruned model with its rows, and the runs that have it as a reference."""

    model: str
    runs: tuple[str, ...]
    final: tuple[Row, ...]
    summary: Row


def references(runs: Sequence[Finished]) -> list[Reference]:
    """The unpruned and the pruned models of `runs`; one that several share (the same rows) is included once."""
    found = []
    for model in REFERENCES:
        of_runs = [(run.name, *run.newest(model, run.suite)) for run in runs]
        swept = [(str(final), name, final, summary) for name, final, summary in of_runs if final]
        order = {text: place for place, text in reversed([*enumerate(text for text, *_ in swept)])}
        swept.sort(key=lambda each: order[each[0]])  # stable: equal ones together, by their first run
        for _, equal in groupby(swept, key=lambda each: each[0]):
            same = list(equal)
            names = tuple(name for _, name, _, _ in same)
            found.append(Reference(model, names, tuple(same[0][2]), same[0][3] or {}))
    return found


def document(runs: Sequence[Finished], pairs: Pairs) -> dict[str, Any]:
    """The whole comparison. None: not measured or undefined. A differing key has no value for a run whose recipe does
    not have it."""
    first = runs[0]
    return {
        "suite": first.suite,
        "protocol": first.summary["protocol"],
        "budgets": list(first.budgets),
        "references": [
            {"model": each.model, "of": list(each.runs), **_numbers(each.final, each.summary)}
            for each in references(runs)
        ],
        "runs": [run_facts(run) for run in runs],
        "differing_keys": {
            key: {run: value for run, value in values.items() if not isinstance(value, Absent)}
            for key, values in differing(_recipes(runs)).items()
        },
        "without_recipe": [run.name for run in runs if not run.record.get("recipe")],
        "pairs": {
            "problems": pairs.problems,
            "groups": pairs.groups,
            "against": pairs.against,
            "why_none": pairs.why_none or None,
            "differences": [dict(vars(each)) for each in pairs.differences],
        },
    }


def _recipes(runs: Sequence[Finished]) -> dict[str, Mapping[str, Any]]:
    return {run.name: run.record["recipe"] for run in runs if run.record.get("recipe")}


def run_facts(run: Finished) -> dict[str, Any]:
    """What was trained, its cost, and the chosen sweep."""
    recipe = run.record.get("recipe") or {}
    plan = run.record.get("prune_plan") or {}
    removed = plan.get("removed")
    seconds, in_sweeps = run.totals.get("seconds"), run.totals.get("sweep_seconds")
    return {
        "run": run.name,
        "recipe": recipe_name(run.record),
        "pruning": plan.get("method") or (recipe.get("prune") or {}).get("method"),
        "layers_removed": None if removed is None else len(removed),
        "layers": plan.get("layers"),
        "adapter": (recipe.get("adapter") or {}).get("method"),
        "rank": (recipe.get("adapter") or {}).get("r"),
        "step": run.summary["step"],
        "last_sweep_step": run.own_steps[-1],
        "tokens": run.totals.get("tokens"),
        "seconds": seconds,
        "seconds_with_sweeps": None if seconds is None or in_sweeps is None else seconds + in_sweeps,
        "standing": run.standing,
        **_numbers(run.final, run.summary),
    }


def recipe_name(record: Mapping[str, Any]) -> str | None:
    """The recipe that a run was started with, without folder and suffix; None if run.json does not say."""
    given = [text.partition("=")[2] for text in record.get("command") or [] if str(text).startswith("recipe=")]
    return given[-1].rpartition("/")[2].removesuffix(".yaml") if given else None


def _numbers(final: Sequence[Row], summary: Row) -> dict[str, Any]:
    at_budgets = [{key: row.get(key) for key in OF_A_BUDGET if key in row} for row in final]
    return {**{key: summary.get(key) for key in OF_A_SWEEP}, "accuracy": at_budgets}
