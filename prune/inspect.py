"""The doctor: does a checkpoint folder's metadata match its weights? `python -m prune.inspect DIR`

All faults are reported at once, one per line. `fix=OUT` writes a copy in which those that need no guess are repaired.
Requirements for every model are in `data_prep.soundness`; those that link a pruned model to its unpruned one are in
`prune.against`. The prune plan in the folder is checked here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING, GenerationConfig

from data_prep.contradictions import BUILD_ERRORS
from data_prep.soundness import WeightFacts, check_weights, text_faults, values_of, weight_faults
from data_prep.tokenizer_faults import GENERATION, own_tokenizer, text_notes
from data_prep.weight_files import read_config, read_tensors
from data_prep.weight_values import value_notes
from prune.against import differences, template_differences, unpruned_of
from prune.align.matrices import read_matrices
from prune.align.report import alignment_note
from prune.channels import describe_channels
from prune.generation_config import changes_of
from prune.plan import FILE_NAME, Cut, PrunePlan, describe_merges, describe_ranks, load
from prune.repaired import describe_repairs
from recipes.command import run, split
from recipes.errors import UserError
from recipes.help import HelpAsked, asks_for_help
from runtime.hub import did_you_mean


@dataclass(frozen=True)
class Facts:
    """The contents of a sound folder: its weights and its plan (None if unpruned, or pruned with another tool)."""

    weights: WeightFacts
    plan: PrunePlan | None


def check_folder(folder: Path) -> Facts:
    """The facts of a checkpoint folder, from its headers and its plan.

    Raises UserError, with file, key and remedy, if its config or its plan contradicts its weights.
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
    width = read_config(folder).get("intermediate_size")
    if plan.channels is not None and plan.channels.stored_width != width:
        raise UserError(
            f"{folder / FILE_NAME}: the plan leaves each layer {plan.channels.stored_width} channels, but config.json "
            f"says intermediate_size={width}; the plan belongs to another model, remove it or cut the model again"
        )
    return plan


def describe_plan(plan: PrunePlan) -> str:
    """The plan in a few lines, with a table of scores if layers were scored (* marks a removed layer)."""
    lines = [
        f"method     {plan.method}",
        f"unpruned   {plan.unpruned} ({plan.layers} layers)",
        f"removed    {', '.join(map(str, plan.removed)) or 'no layers'}",
        *([f"merged     {describe_merges(plan.merged)}"] if plan.merged else []),
        *(f"repaired   {describe_repairs([each])}" for each in plan.repairs),
        f"kept       {len(plan.kept)} layers",
        *(f"cut {number}      {cut.method}: {_said(cut)}" for number, cut in enumerate(plan.cuts, start=1)),
        *_describe_choice(plan.details.get("choice") or {}),
    ]
    if plan.channels is not None:
        lines.append(f"channels   {describe_channels(plan.channels.width, plan.channels.widths)}")
    if plan.ranks:
        lines.append(f"low rank   {describe_ranks(plan.ranks)}")
    return "\n".join([*lines, *_score_table(plan)])


def _score_table(plan: PrunePlan) -> list[str]:
    """After several cuts, the scores are those of the last one."""
    scores = plan.cuts[-1].scores if plan.cuts else {str(i): score for i, score in enumerate(plan.scores)}
    if not scores:
        return []
    removed = set(map(str, plan.cuts[-1].removed if plan.cuts else plan.removed))
    if plan.method == "width" and plan.channels is not None:
        rows = zip(plan.kept, plan.channels.widths, strict=True)
        return [
            "layer  energy kept  channels",
            *(f"{i:5d}  {scores[str(i)]:11.4f}  {width:8,d}" for i, width in rows),
        ]
    return ["layer  score", *(f"{i:>5}  {score:.6f}{' *' if i in removed else ''}" for i, score in scores.items())]


def _describe_choice(choice: Mapping[str, Any]) -> list[str]:
    """What a method measured in addition to its scores: the loss after each step, or the cosine of each merge."""
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
    removed = f"removed {', '.join(map(str, cut.removed))}{merged}{repaired}" if cut.removed else ""
    return "; ".join(part for part in (removed, cut.narrowed) if part)


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


def faults_of(folder: Path, unpruned: Path | None = None) -> list[str]:
    """All faults of a checkpoint folder, one line each: config, weights, plan, tokenizer and stop tokens, and
    differences from the unpruned model if its folder is known."""
    if not folder.is_dir():
        hint = did_you_mean(str(folder))
        return [f"{folder} is not a folder; name a Hugging Face checkpoint folder{f' ({hint})' if hint else ''}"]
    found = weight_faults(folder)
    is_sound = not found
    found += text_faults(folder)
    if is_sound:  # otherwise the check of the weights reports the same
        try:
            check_folder(folder)
        except UserError as mistake:
            return [*found, *str(mistake).splitlines()]
    if unpruned is not None and is_sound:
        found += [*differences(folder, unpruned), *template_differences(folder, unpruned)]
    return found


def notes_on(facts: Facts) -> list[str]:
    """Findings that are not contradictions but may be unintended, one line each."""
    folder, weights = facts.weights.folder, facts.weights
    raw = read_config(folder)
    named = raw.get("dtype", raw.get("torch_dtype"))
    stored = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}.get(weights.dtypes[0])
    notes = []
    if stored and named not in (None, stored):
        notes.append(f"config.json names {named}, but most weights are {stored} (fix=OUT writes a copy that says so)")
    if len(weights.dtypes) > 1:
        notes.append(f"weights of several dtypes: {', '.join(weights.dtypes)}")
    named, usual = (raw.get("architectures") or [""])[0], _architecture(weights.family)
    if named and usual and named != usual:
        notes.append(
            f"config.json names the architecture {named}, but {weights.family} models use {usual}; vLLM relies on it"
        )
    notes += _generation_notes(folder)
    notes += value_notes(values_of(folder), read_tensors(folder))
    notes += text_notes(folder, own_tokenizer(folder))
    alignment = alignment_note(read_matrices(folder))
    return [*notes, alignment] if alignment else notes


def _generation_notes(folder: Path) -> list[str]:
    """Values that transformers refuses to save once anything else changes, as in a run's export."""
    if not (folder / GENERATION).is_file():
        return []
    try:
        changes = changes_of(GenerationConfig.from_pretrained(folder))
    except UserError as fault:
        return [str(fault).removeprefix("prune: ")]
    except BUILD_ERRORS:  # reported as a fault
        return []
    told = ", ".join(f"{key}={new} instead of {old}" for key, (old, new) in changes.items())
    return [f"{GENERATION} cannot be saved with other stop tokens; fix=OUT writes a copy with {told}"] if told else []


def _architecture(family: str) -> str:
    """transformers' causal model class of this family; "" if it has none."""
    if family not in CONFIG_MAPPING:
        return ""
    return getattr(MODEL_FOR_CAUSAL_LM_MAPPING.get(CONFIG_MAPPING[family], None), "__name__", "")


def main(arguments: list[str]) -> None:
    """Prints the facts of the named folder, or writes a repaired copy. Raises UserError if it is not sound."""
    usage = "usage: python -m prune.inspect DIR [against=UNPRUNED] [fix=OUT]"
    if asks_for_help(arguments):
        raise HelpAsked(usage)
    keys = {"fix": "folder for a repaired copy", "against": "the unpruned model (default: the plan's, if it is here)"}
    options, names = split(arguments, keys)
    if len(names) != 1 or names[0].startswith("-"):
        raise UserError(usage)
    folder = Path(names[0])
    unpruned = unpruned_of(folder, options.get("against", ""))
    if "fix" in options:
        from prune.repair import repair

        lines = repair(folder, Path(options["fix"]), unpruned)
        print("\n".join([*(lines or ["nothing to repair"]), f"written    {options['fix']}"]))
        return
    if faults := faults_of(folder, unpruned):
        raise UserError("\n".join(faults))
    facts = check_folder(folder)
    *lines, ok = describe(facts).splitlines()
    compared = [f"against    {unpruned}"] if unpruned else []
    print("\n".join([*lines, *compared, *(f"note       {note}" for note in notes_on(facts)), ok]))


if __name__ == "__main__":
    run(main)
