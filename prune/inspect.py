"""The doctor: does a checkpoint folder's config tell the truth about its weights? `python -m prune.inspect DIR`

What every model must be is in `data_prep.soundness`; the prune plan beside the weights is checked here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data_prep.soundness import WeightFacts, check_values, check_weights
from prune.plan import FILE_NAME, PrunePlan, describe_merges, load
from recipes.command import run
from recipes.errors import UserError
from recipes.help import HelpAsked, asks_for_help


@dataclass(frozen=True)
class Facts:
    """What a sound folder holds: its weights, and its plan (None for an unpruned model or another tool's)."""

    weights: WeightFacts
    plan: PrunePlan | None


def check_folder(folder: Path) -> Facts:
    """The facts of a checkpoint folder, by its headers and its plan.

    Raises UserError, naming file, key and remedy, where its config or its plan contradicts its weights.
    """
    weights = check_weights(folder)
    return Facts(weights, _checked_plan(folder, weights.layers))


def _checked_plan(folder: Path, layers: int) -> PrunePlan | None:
    if not (folder / FILE_NAME).exists():
        return None
    plan = load(folder)
    if len(plan.kept) != layers:
        raise UserError(
            f"{folder / FILE_NAME}: the plan keeps {len(plan.kept)} of {plan.layers} layers, but the "
            f"weights have {layers}; the plan belongs to another model, remove it or cut the model again"
        )
    return plan


def describe_plan(plan: PrunePlan) -> str:
    """The plan in a few lines, with a table of the scores where layers were scored (* marks a removed layer)."""
    lines = [
        f"method     {plan.method}",
        f"unpruned   {plan.unpruned} ({plan.layers} layers)",
        f"removed    {', '.join(map(str, plan.removed))}",
        *([f"merged     {describe_merges(plan.merged)}"] if plan.merged else []),
        f"kept       {len(plan.kept)} layers",
    ]
    if plan.scores:
        lines.append("layer  score")
        lines += [f"{i:5d}  {score:.6f}{' *' if i in plan.removed else ''}" for i, score in enumerate(plan.scores)]
    return "\n".join(lines)


def describe(facts: Facts) -> str:
    """The facts in a few lines."""
    weights = facts.weights
    lines = [
        f"folder     {weights.folder}",
        f"family     {weights.family}",
        f"layers     {weights.layers}",
        f"parameters {weights.parameters:,}",
        f"dtype      {', '.join(weights.dtypes)}",
        f"head       {'tied to the embedding' if weights.tied else 'its own weights'}",
        f"files      {weights.files}",
    ]
    return "\n".join([*lines, describe_plan(facts.plan) if facts.plan else "plan       none", "ok"])


def main(arguments: list[str]) -> None:
    """Prints the facts of the one folder named. UserError where it is not sound."""
    if asks_for_help(arguments):
        raise HelpAsked("usage: python -m prune.inspect DIR")
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise UserError("usage: python -m prune.inspect DIR")
    folder = Path(arguments[0])
    facts = check_folder(folder)
    check_values(folder)
    print(describe(facts))


if __name__ == "__main__":
    run(main)
