"""The metadata of a model card: the model's origin, and its figures in the format of the Hub.

Nothing is guessed or looked up over the network: unknown fields are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData, RepoCard, try_to_load_from_cache
from yaml import YAMLError

from data_prep.suites.confirm import CONFIRM
from eval.numbers.summary import Row, at_step, verdict_suite
from recipes.benchmarks import BENCHMARKS
from train.published import hub_id

TASK = "text-generation"
TAGS = ("chainmend", "pruned", "reasoning")

Licences = Mapping[str, str | None]
"""licence by source on the Hub; None if its card is not on this machine or names no licence"""


def card_data(
    recipe: Mapping[str, Any], name: str, results: Sequence[EvalResult], library: str = "transformers"
) -> ModelCardData:
    """Metadata for the export of a run with this recipe (as in run.json); library: the package that loads it."""
    base = hub_id(recipe["model"]["unpruned"])
    relation: dict[str, Any] = {"base_model_relation": "finetune"} if base else {}
    return ModelCardData(
        base_model=base,
        datasets=data_sets(recipe) or None,
        license=licence_of(base, "model") if base else None,
        library_name=library,
        pipeline_tag=TASK,
        tags=list(TAGS),
        model_name=name,
        eval_results=list(results) or None,
        **relation,
    )


def data_sets(recipe: Mapping[str, Any]) -> list[str]:
    """The distinct data sets of the Hub that the traces come from."""
    traces = (recipe.get("data") or {}).get("traces") or {}
    return list(dict.fromkeys(source["id"] for source in sources(traces) if source["source"] == "hub"))


def sources(traces: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The sources of `data.traces`; a mixture yields each of its parts."""
    if traces.get("source") == "mixture":
        for part in traces["parts"]:
            yield from sources(part["traces"])
    elif traces:
        yield traces


def licences(recipe: Mapping[str, Any]) -> Licences:
    """The licences that the unpruned model and the data sets state."""
    base = hub_id(recipe["model"]["unpruned"])
    models = {base: licence_of(base, "model")} if base else {}
    return models | {name: licence_of(name, "dataset") for name in data_sets(recipe)}


def licence_of(name: str, kind: str) -> str | None:
    """The licence in the card of a model or data set of the Hub; None if its card is not in the local cache.

    kind: model or dataset.
    """
    card = try_to_load_from_cache(name, "README.md", repo_type=kind)
    if not isinstance(card, str):
        return None
    try:
        text = Path(card).read_text(encoding="utf-8")
        stated = RepoCard(text, ignore_metadata_errors=True).data.to_dict().get("license")
    except (OSError, ValueError, YAMLError):
        return None
    return stated if isinstance(stated, str) else None


def eval_results(rows: Sequence[Row], step: int, recipe: Mapping[str, Any]) -> list[EvalResult]:
    """Accuracy of the checkpoint at exactly `step` at every budget of the verdict suite; [] if it was not swept."""
    if not rows:
        return []
    suite = verdict_suite(rows)
    return [
        EvalResult(
            task_type=TASK,
            dataset_type=_data_set_of(suite, recipe),
            dataset_name=suite,
            metric_type="accuracy",
            metric_name=f"accuracy {_way(row['budget'])}, 95 % interval {row['low']:.3f} to {row['high']:.3f}",
            metric_value=round(row["accuracy"], 4),
        )
        for row in at_step(rows, "run", suite, step)[0]
    ]


def _way(budget: int) -> str:
    return f"within {budget:,} thinking tokens" if budget else "with thinking off"


def _data_set_of(suite: str, recipe: Mapping[str, Any]) -> str:
    """The origin of a suite's problems: an id of the Hub, or the kind of source (never a path)."""
    suites = (recipe.get("sweep") or {}).get("suites") or ()
    section: Mapping[str, Any] = next((each for each in suites if each.get("name") == suite.removesuffix(CONFIRM)), {})
    if section.get("source") == "named" and not section.get("path"):
        return BENCHMARKS[section["name"]].hub
    return str(section.get("id") or section.get("source") or "custom")
