"""Cutting a model further that was cut before: where it comes from, and whether it belongs to the unpruned model."""

from __future__ import annotations

from pathlib import Path

from data_prep.fingerprint import fingerprint, local_folder
from prune.inspect import check_folder
from prune.plan import PrunePlan, further_fault
from recipes.errors import UserError
from recipes.prune import LaCoPrune, LayersPrune, PruneSection
from recipes.schema import ModelSection


def cut_model(section: PruneSection, model: ModelSection) -> str:
    """The model whose layers are cut: `prune.cut_from`, or the unpruned one."""
    return section.cut_from or model.unpruned


def earlier_plan(section: PruneSection, model: ModelSection) -> PrunePlan | None:
    """The plan by which `prune.cut_from` was cut from the unpruned model; None where the unpruned model itself is cut.

    UserError where the folder is not sound, carries no plan, or was cut from another model.
    """
    if section.cut_from is None:
        return None
    folder = local_folder(section.cut_from)
    if folder is None:
        raise UserError(f"prune.cut_from={section.cut_from}: no such folder; name a pruned model or a run's export")
    plan = check_folder(folder).plan
    if plan is None:
        raise UserError(
            f"prune.cut_from={section.cut_from}: it carries no prune plan, so it cannot be said which layers of "
            "model.unpruned are left in it; where nothing was cut from it, name it as model.unpruned"
        )
    fault = further_fault(plan)
    if plan.channels is not None and isinstance(section, LaCoPrune):
        fault = "each of its layers lost channels of its own, so that layers cannot be added to each other"
    if fault:
        raise UserError(f"prune.cut_from={section.cut_from}: it cannot be cut so: {fault}")
    _check_origin(section.cut_from, plan, model)
    return plan


def in_cut_model(section: PruneSection, earlier: PrunePlan | None) -> PruneSection:
    """The section with the layers that it names counted in the model that is cut; a recipe counts them in the unpruned
    one. UserError for a layer that an earlier cut removed, or that is in neither."""
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
            f"({plan.unpruned or 'not named'}) than model.unpruned={model.unpruned}, or its weights have changed; name "
            f"as model.unpruned the model that {Path(cut_from).name} was first cut from"
        )
