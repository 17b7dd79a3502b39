"""From the recipe's sections to a pruned model in a folder: measure, choose, cut, save."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from data_prep.calibration import calibration_batches
from data_prep.models import load_model, load_tokenizer
from data_prep.prepare import prepare
from prune.block_influence import block_influence
from prune.families import check_cuttable, decoder_layers
from prune.fingerprint import fingerprint
from prune.plan import PrunePlan
from prune.select import check_count, choose
from prune.surgery import apply_plan, is_occupied, load_existing, save_pruned
from recipes.errors import UserError
from recipes.schema import DataSection, ModelSection, PruneSection, ShortGPTPrune

BATCH_SIZE = 4
"""calibration traces run side by side; it moves a score by rounding only"""

Batches = list[dict[str, torch.Tensor]]


def make_pruned(section: PruneSection, model: ModelSection, data: DataSection, output: Path) -> PrunePlan:
    """Cuts the unpruned model as `section` says and writes model, tokenizer and plan to `output`; returns the plan.

    A folder that this request already made, from the same weights, is checked and kept, without loading the model. Call it in one
    process only. Raises UserError where the model cannot be cut so, or where `output` holds anything else.
    """
    request = _request(section, model, data)
    if is_occupied(output):
        return _reuse(output, request, fingerprint(model.unpruned))
    unpruned, tokenizer = _load(model)
    check_cuttable(unpruned)
    total = len(decoder_layers(unpruned))
    batches = _batches(section, total, tokenizer, data)
    influence = _influence(unpruned, batches)
    details = {"request": request, "calibration_tokens": sum(int(batch["attention_mask"].sum()) for batch in batches),
               "calibration_traces": sum(len(batch["input_ids"]) for batch in batches)}
    plan = PrunePlan(
        method=section.method, layers=total, removed=choose(section, total, influence), scores=tuple(influence),
        unpruned=model.unpruned, source=fingerprint(model.unpruned), details=details)
    save_pruned(apply_plan(unpruned, plan), tokenizer, plan, output)
    return plan


def _request(section: PruneSection, model: ModelSection, data: DataSection) -> dict[str, Any]:
    """All that the pruned weights depend on, beside the unpruned ones; the data count only where they are measured on."""
    request: dict[str, Any] = {"prune": section.model_dump(mode="json"), "dtype": model.dtype}
    return {**request, "data": data.model_dump(mode="json")} if isinstance(section, ShortGPTPrune) else request


def _reuse(output: Path, request: dict[str, Any], source: str) -> PrunePlan:
    plan = load_existing(output)
    if (plan.details.get("request"), plan.source) != (request, source):
        raise UserError(f"{output} holds a model pruned otherwise (method {plan.method}, without layers {list(plan.removed)} of "
                        f"{plan.unpruned}); name another output folder or remove it")
    return plan


def _load(model: ModelSection) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    return load_model(model.unpruned, model), load_tokenizer(model.unpruned, model)


def _batches(section: PruneSection, total: int, tokenizer: PreTrainedTokenizerBase, data: DataSection) -> Batches:
    """Calibration batches where the method measures influence, else none."""
    if not isinstance(section, ShortGPTPrune):
        return []
    check_count(total, section.layers)
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    return calibration_batches(prepare(data, tokenizer).rows, section.calibration_traces, BATCH_SIZE, pad_id)


def _influence(unpruned: PreTrainedModel, batches: Batches) -> list[float]:
    """Block influence of every layer, on the GPU where there is one; nothing where there are no batches."""
    if not batches:
        return []
    home = unpruned.device
    try:
        return block_influence(unpruned.to("cuda" if torch.cuda.is_available() else home), batches)
    finally:
        unpruned.to(home)
