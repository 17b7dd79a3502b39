"""Refuses to compare runs that were measured by different protocols, and names what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eval.comparing.finished import Finished
from eval.comparing.recipe_keys import differing
from recipes.errors import UserError

MEASURED_BY = (
    "budgets",
    "answer_tokens",
    "samples",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "stop_loops",
    "extend_to",
    "max_extensions",
    "seed",
)
"""keys of `sweep` that a protocol's hash covers, in addition to the engine, the suite and the thinking format"""

UNRECORDED = "the suite's problems, or the versions of engine or grader, differ"


def check_protocols(runs: Sequence[Finished]) -> None:
    """Raises UserError, naming the differences, if verdict suites, budgets or protocols of the runs differ."""
    first = runs[0]
    for other in runs[1:]:
        if other.suite != first.suite:
            raise UserError(
                f"{other.name} is judged on suite {other.suite!r}, {first.name} on {first.suite!r}; "
                "compare runs on the same suite"
            )
    for run in runs:
        for model, budgets, protocol in _measured(run):
            if (budgets, protocol) != (first.budgets, str(first.summary["protocol"])):
                raise UserError(_refusal(first, run, model))


def _measured(run: Finished) -> list[tuple[str, tuple[int, ...], str]]:
    """(model, budgets, protocol) of everything that a comparison shows of a run on its verdict suite."""
    rows = [("run", run.final), *((model, run.newest(model, run.suite)[0]) for model in ("unpruned", "pruned"))]
    return [(model, tuple(row["budget"] for row in each), str(each[0]["protocol"])) for model, each in rows if each]


def _refusal(first: Finished, other: Finished, model: str) -> str:
    whose = other.name if model == "run" else f"the {model} model of {other.name}"
    rules = {run.name: _rules(run.record, run.suite) for run in (first, other)}
    known = all(rules.values()) and first.name != other.name
    found = [
        f"{key} {values[other.name]} instead of {values[first.name]}"
        for key, values in (differing(rules).items() if known else ())
    ]
    if first.budgets != other.budgets and not found:
        found = [f"budgets {list(other.budgets)} instead of {list(first.budgets)}"]
    return (
        f"{whose} was not measured by the protocol of {first.name} on {first.suite}: "
        f"{'; '.join(found) or UNRECORDED}; compare runs of one protocol, or repeat one of them with the "
        "other's keys"
    )


def _rules(record: Mapping[str, Any], suite: str) -> dict[str, Any]:
    """What run.json records about the protocol of `suite`; {} if it has no recipe."""
    recipe = record.get("recipe") or {}
    sweep = recipe.get("sweep") or {}
    if not sweep:
        return {}
    fmt = {key: value for key, value in (record.get("format") or {}).items() if key != "name"}
    suites = [each for each in sweep.get("suites") or [] if each.get("name") == suite]
    engine = (sweep.get("engine") or {}).get("name")
    return {
        "sweep": {**{key: sweep[key] for key in MEASURED_BY if key in sweep}, "engine": engine},
        "suite": suites[0] if suites else {},
        "format": fmt,
        "versions": {key: (record.get("versions") or {}).get(key) for key in ("transformers", "vllm")},
    }
