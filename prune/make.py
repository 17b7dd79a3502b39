"""From the recipe's sections to a pruned model in a folder: measure, choose, cut, save."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from data_prep.fingerprint import fingerprint
from data_prep.models import load_model, load_tokenizer
from data_prep.prepared.prepare import Prepared, prepare
from data_prep.suites.load import load_suite
from data_prep.tokens.prompts import think_format
from prune.block_influence import block_influence
from prune.calibration import calibration_batches
from prune.families import check_cuttable, decoder_layers
from prune.plan import PrunePlan
from prune.select import check_count, choose
from prune.surgery import apply_plan, is_occupied, load_existing, save_pruned
from recipes.data import DataSection
from recipes.errors import UserError
from recipes.schema import ModelSection, PruneSection, ShortGPTPrune
from recipes.suites import SuiteSection

BATCH_SIZE = 4
"""calibration traces run side by side; it moves a score by rounding only"""

Batches = list[dict[str, torch.Tensor]]


def make_pruned(
    section: PruneSection, model: ModelSection, data: DataSection, output: Path, suites: Sequence[SuiteSection] = ()
) -> PrunePlan:
    """Cuts the unpruned model as `section` says and writes model, tokenizer and plan to `output`; returns the plan.

    suites: those of the recipe's sweep, so that the rows are those that a run trains on.

    Where `output` already holds what this request makes of the same weights and data, it is checked and kept, without
    loading the model. Call it in one process only. Raises UserError where the model cannot be cut so, or where `output`
    holds anything else.
    """
    tokenizer = load_tokenizer(model.unpruned, model)
    prepared = _prepared(section, data, tokenizer, suites)
    request: dict[str, Any] = {"prune": section.model_dump(mode="json"), "dtype": model.dtype}
    if prepared is not None:
        request["data_hash"] = prepared.hash
    source = fingerprint(model.unpruned)
    if is_occupied(output):
        return _reuse(output, request, source)
    unpruned = load_model(model.unpruned, model)
    check_cuttable(unpruned)
    total = len(decoder_layers(unpruned))
    batches = _batches(section, total, prepared, tokenizer.pad_token_id)
    influence = _influence(unpruned, batches)
    details = {
        "request": request,
        "calibration_traces": sum(len(batch["input_ids"]) for batch in batches),
        "calibration_tokens": sum(int(batch["attention_mask"].sum()) for batch in batches),
    }
    plan = PrunePlan(
        method=section.method,
        layers=total,
        removed=choose(section, total, influence),
        scores=tuple(influence),
        unpruned=model.unpruned,
        source=source or fingerprint(model.unpruned),
        details=details,
    )
    save_pruned(apply_plan(unpruned, plan), tokenizer, plan, output)
    return plan


def _prepared(
    section: PruneSection, data: DataSection, tokenizer: PreTrainedTokenizerBase, suites: Sequence[SuiteSection]
) -> Prepared | None:
    """The recipe's rows where the method measures on them; all of them, since scores to select by come afterwards."""
    if not isinstance(section, ShortGPTPrune):
        return None
    return prepare(
        data.model_copy(update={"select": None}),
        tokenizer,
        think_format(data.format, tokenizer),
        suites=[load_suite(suite) for suite in suites],
    )


def _reuse(output: Path, request: dict[str, Any], source: str) -> PrunePlan:
    plan = load_existing(output)
    if (plan.details.get("request"), plan.source) != (request, source):
        raise UserError(
            f"{output} holds another pruned model ({plan.method}, without layers {list(plan.removed)} of "
            f"{plan.unpruned}) or one from other weights or data; name another output folder or remove it"
        )
    return plan


def _batches(section: PruneSection, total: int, prepared: Prepared | None, pad_id: int) -> Batches:
    """Calibration batches where the method measures influence, else none."""
    if not isinstance(section, ShortGPTPrune) or prepared is None:
        return []
    check_count(total, section.layers)
    return calibration_batches(prepared.rows, section.calibration_traces, BATCH_SIZE, pad_id)


def _influence(unpruned: PreTrainedModel, batches: Batches) -> list[float]:
    """Block influence of every layer, on the GPU where there is one; nothing where there are no batches."""
    if not batches:
        return []
    home = unpruned.device
    try:
        _move(unpruned, torch.device("cuda") if torch.cuda.is_available() else home)
        return block_influence(unpruned, batches)
    finally:
        _move(unpruned, home)


def _move(model: torch.nn.Module, device: torch.device) -> None:
    model.to(device)
