"""Cutting a model that was cut before: its earlier plan, and whether it comes from the named unpruned model."""

from __future__ import annotations

from pathlib import Path

from data_prep.fingerprint import fingerprint, local_folder
from prune.inspect import check_folder
from prune.plan import PrunePlan, further_fault
from recipes.errors import UserError
from recipes.prune import LaCoPrune, LayersPrune, PruneSection
from recipes.schema import ModelSection


def cut_model(section: PruneSection, model: ModelSection) -> str:
    """The model to cut: `prune.cut_from`, or the unpruned one."""
    return section.cut_from or model.unpruned


def earlier_plan(section: PruneSection, model: ModelSection) -> PrunePlan | None:
    """The plan by which `prune.cut_from` was cut from the unpruned model; None if the unpruned model itself is cut.

    Raises UserError if the folder is not sound, has no plan, or was cut from another model.
    """
    if section.cut_from is None:
        return None
    folder = local_folder(section.cut_from)
    if folder is None:
        raise UserError(f"prune.cut_from={section.cut_from}: no such folder; name a pruned model or a run's export")
    plan = check_folder(folder).plan
    if plan is None:
        raise UserError(
            f"prune.cut_from={section.cut_from}: it has no prune plan, so the layers of model.unpruned that remain in "
            "it are unknown; if nothing was cut from it, name it as model.unpruned"
        )
    fault = further_fault(plan)
    if plan.channels is not None and isinstance(section, LaCoPrune):
        fault = "its layers lost different channels, so they cannot be added to each other"
    if fault:
        raise UserError(f"prune.cut_from={section.cut_from}: it cannot be cut like this: {fault}")
    _check_origin(section.cut_from, plan, model)
    return plan


def in_cut_model(section: PruneSection, earlier: PrunePlan | None) -> PruneSection:
    """The section with its layer indices counted in the model that is cut; a recipe counts them in the unpruned one.
    Raises UserError for a layer that an earlier cut removed, or that is in neither model."""
    if earlier is None or not isinstance(section, LayersPrune):
        return section
    missing = [i for i in section.remove if i not in earlier.kept]
    if missing:
        raise UserError(
            f"prune.remove: layers {missing} are not in {section.cut_from}, which has layers "
            f"{', '.join(map(str, earlier.kept))} of the unpruned model"
        )
    return section.changed(remove=[earlier.kept.index(i) for i in section.remove])


def _check_origin(cut_from: str, plan: PrunePlan, model: ModelSection) -> None:
    here = fingerprint(model.unpruned)
    if plan.source and here and plan.source != here:
        raise UserError(
            f"prune.cut_from={cut_from}: its plan was made for another unpruned model "
            f"({plan.unpruned or 'not named'}) than model.unpruned={model.unpruned}, or the weights have changed; set "
            f"model.unpruned to the model that {Path(cut_from).name} was first cut from"
        )
