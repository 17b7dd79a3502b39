"""The source of an export: the checkpoint and its pruned weights, both checked, and how to present its figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from data_prep.fingerprint import fingerprint, local_folder
from eval.numbers.summary import Row
from eval.show.confirmed import note_on, selection_note
from prune.plan import FILE_NAME as PLAN
from recipes.errors import UserError
from recipes.schema import ExportSection, ModelSection, Recipe
from runtime.files import read_rows, write_whole
from runtime.run_folder import RunFolder, step_of
from train.checkpoints import check_whole, kept_checkpoint
from train.confirm import confirmation_of
from train.merging import Source
from train.published import LOCAL, hub_id, publishable


def source_of(folder: RunFolder, section: ExportSection) -> Source:
    """The checkpoint that the section names. UserError if there is none, if it is damaged, or if the pruned model is
    not the one that the run was trained on."""
    facts = folder.facts()
    if not facts or not folder.complete_checkpoints():
        raise UserError(f"run={folder.path}: no complete checkpoint there; name the folder of a run that has saved one")
    recipe = Recipe.model_validate(facts["recipe"])
    checkpoint = kept_checkpoint(folder, section, recipe.keep_best)
    check_whole(checkpoint)
    pruned = _pruned_folder(folder, recipe.model)
    if fingerprint(str(pruned)) != facts["pruned_fingerprint"]:
        raise UserError(
            f"{pruned} is no longer the pruned model that this run was trained on (its fingerprint "
            "differs); restore the original weights; an adapter fits only those"
        )
    return Source(folder, checkpoint, pruned, recipe)


def figures_of(source: Source, section: ExportSection) -> tuple[str, Sequence[Row]]:
    """The caveat for the checkpoint's figures, and the rows of its confirmation ([] if it is not confirmed)."""
    folder, step = source.run, step_of(source.checkpoint)
    confirmed = confirmation_of(folder, source.checkpoint, str(source.pruned), source.recipe)
    metric = str(source.recipe.keep_best)
    chosen = selection_note(read_rows(folder.sweeps), metric) if section.checkpoint == "best" else ""
    rows = read_rows(folder.confirmed.sweeps) if confirmed and confirmed["step"] == step else []
    return note_on(step, confirmed, chosen), rows


def tell_plan(pruned: Path, export: Path) -> None:
    """Copies the prune plan, if there is one, next to the exported weights, without the paths of this machine."""
    if not (pruned / PLAN).is_file():
        return
    plan = json.loads((pruned / PLAN).read_text(encoding="utf-8"))
    told = {**plan, "unpruned": hub_id(plan.get("unpruned")) or LOCAL, "details": publishable(plan.get("details", {}))}
    told |= {"cuts": [publishable(cut) for cut in plan["cuts"]]} if plan.get("cuts") else {}
    write_whole(export / PLAN, json.dumps(told, indent=2) + "\n")


def _pruned_folder(folder: RunFolder, model: ModelSection) -> Path:
    """The folder of the weights that the run was trained on: in the run folder, or named by the recipe."""
    if model.pruned is None:
        return folder.pruned
    folder_of_weights = local_folder(model.pruned)
    if folder_of_weights is None:
        raise UserError(f"model.pruned={model.pruned}: not on this machine, but the export needs it; restore it")
    return folder_of_weights
