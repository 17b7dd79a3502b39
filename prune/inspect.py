"""The doctor: does a checkpoint folder's config tell the truth about its weights? `python -m prune.inspect DIR`

All faults are told at once, a line each; `fix=OUT` writes a copy in which those that need no guess are repaired. What
every model must be is in `data_prep.soundness`; the prune plan beside the weights is checked here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.soundness import WeightFacts, check_values, check_weights
from data_prep.weight_files import read_config
from prune.plan import FILE_NAME, Cut, PrunePlan, describe_merges, load
from prune.repaired import describe_repairs
from recipes.command import run, split
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
        *(f"repaired   {describe_repairs([each])}" for each in plan.repairs),
        f"kept       {len(plan.kept)} layers",
        *(f"cut {number}      {cut.method}: {_said(cut)}" for number, cut in enumerate(plan.cuts, start=1)),
        *_describe_choice(plan.details.get("choice") or {}),
    ]
    scores = plan.cuts[-1].scores if plan.cuts else {str(i): score for i, score in enumerate(plan.scores)}
    if scores:
        lines.append("layer  score")
        removed = set(map(str, plan.cuts[-1].removed if plan.cuts else plan.removed))
        lines += [f"{i:>5}  {score:.6f}{' *' if i in removed else ''}" for i, score in scores.items()]
    return "\n".join(lines)


def _describe_choice(choice: Mapping[str, Any]) -> list[str]:
    """What a method measured beside its scores: the loss after each step, or the cosine of each merge."""
    lines = [f"loss       {choice['loss_before']:.6f} before"] if "loss_before" in choice else []
    lines += [f"           {step['loss']:.6f} without {_listed(step['removed'])}" for step in choice.get("steps", ())]
    for attempt in choice.get("attempts", ()):
        first, *others = attempt["group"]
        outcome = "merged" if attempt["accepted"] else "refused"
        lines.append(f"cosine     {attempt['cosine']:.6f} with {_listed(others)} in {first}: {outcome}")
    return lines


def _listed(layers: Sequence[int]) -> str:
    return ", ".join(map(str, layers))


def _said(cut: Cut) -> str:
    merged = f"; merged: {describe_merges(cut.merged)}" if cut.merged else ""
    repaired = f"; {describe_repairs(cut.repairs)}" if cut.repairs else ""
    return f"removed {', '.join(map(str, cut.removed))}{merged}{repaired}"


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


def faults_of(folder: Path) -> list[str]:
    """Everything that is wrong with a checkpoint folder, a line each: config, plan, and weights that are not finite."""
    found: list[str] = []
    for check in (check_folder, check_values) if folder.is_dir() else (check_folder,):
        try:
            check(folder)
        except UserError as mistake:
            found += [line for line in str(mistake).splitlines() if line not in found]
    return found


def notes_on(facts: Facts) -> list[str]:
    """What is no contradiction, but may not be meant: a line each."""
    folder, weights = facts.weights.folder, facts.weights
    raw = read_config(folder)
    named = raw.get("dtype", raw.get("torch_dtype"))
    stored = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}.get(weights.dtypes[0])
    notes = []
    if stored and named not in (None, stored):
        notes.append(f"config.json names {named}, but most weights are {stored} (fix=OUT writes a copy that says so)")
    if len(weights.dtypes) > 1:
        notes.append(f"weights of several dtypes: {', '.join(weights.dtypes)}")
    if not (folder / "tokenizer_config.json").is_file():
        notes.append("no tokenizer lies in the folder; training takes that of the unpruned model, eval needs one here")
    return notes


def main(arguments: list[str]) -> None:
    """Prints the facts of the one folder named, or writes a repaired copy. UserError where it is not sound."""
    usage = "usage: python -m prune.inspect DIR [fix=OUT]"
    if asks_for_help(arguments):
        raise HelpAsked(usage)
    options, names = split(arguments, {"fix": "folder for a repaired copy"})
    if len(names) != 1 or names[0].startswith("-"):
        raise UserError(usage)
    folder = Path(names[0])
    if "fix" in options:
        from prune.repair import repair

        lines = repair(folder, Path(options["fix"]))
        print("\n".join([*(lines or ["nothing to repair"]), f"written    {options['fix']}"]))
        return
    if faults := faults_of(folder):
        raise UserError("\n".join(faults))
    facts = check_folder(folder)
    *lines, ok = describe(facts).splitlines()
    print("\n".join([*lines, *(f"note       {note}" for note in notes_on(facts)), ok]))


if __name__ == "__main__":
    run(main)
