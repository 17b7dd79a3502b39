"""From the recipe's sections to a pruned model in a folder: choose, cut, save."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from data_prep.fingerprint import fingerprint
from data_prep.models import load_config, load_model, load_tokenizer
from data_prep.prepared.prepare import Prepared
from prune.calibration import calibration_batches
from prune.families import check_cuttable, check_family, decoder_layers
from prune.low_rank import lower_ranks
from prune.methods.table import check_fits, method_of
from prune.plan import PrunePlan, describe_cut
from prune.stored_dtype import dtype_to_cut_in, dtypes_of, give_back
from prune.surgery import apply_plan, is_occupied, load_existing, save_pruned
from recipes.errors import UserError
from recipes.prune import PruneSection
from recipes.schema import ModelSection

BATCH_SIZE = 4
"""calibration traces run side by side; it moves a score by rounding only"""


def make_pruned(
    section: PruneSection, model: ModelSection, calibration: Callable[[], Prepared], output: Path
) -> PrunePlan:
    """Cuts the unpruned model as `section` says and writes model, tokenizer and plan to `output`; returns the plan.

    What is not merged, narrowed or brought to a lower rank keeps its bits, in the dtype that it came in (see
    `prune.stored_dtype`).

    calibration: gives the traces to measure on; called only where the method needs traces (see `prune.calibration`).

    Where `output` already holds what this request makes of the same weights and data, it is checked and kept, without
    loading the model. Call it in one process only. Raises UserError where the model cannot be cut so, or where `output`
    holds anything else.
    """
    method, config = method_of(section), load_config(model.unpruned, model)
    check_family(config)
    check_fits(method, config)
    tokenizer = load_tokenizer(model.unpruned, model)
    request: dict[str, Any] = {"prune": section.model_dump(mode="json"), "dtype": model.dtype}
    traces = calibration() if method.calibration_traces else None
    if traces is not None:
        request["data_hash"] = traces.hash
    source = fingerprint(model.unpruned)
    if is_occupied(output):
        return _reuse(output, request, source)
    dtype = dtype_to_cut_in(dtypes_of(model.unpruned, config), model.dtype)
    unpruned = load_model(model.unpruned, model.changed(dtype=dtype))
    check_cuttable(unpruned)
    total = len(decoder_layers(unpruned))
    method.check(total)
    rows = () if traces is None else traces.rows
    batches = calibration_batches(rows, method.calibration_traces, BATCH_SIZE, tokenizer.pad_token_id)
    with _on_gpu(unpruned) if batches else nullcontext():
        choice = method.choose(unpruned, batches)
    plan = PrunePlan(
        method=section.method,
        layers=total,
        removed=choice.removed,
        scores=choice.scores,
        merged=choice.merged,
        channels=choice.channels,
        ranks=choice.ranks,
        unpruned=model.unpruned,
        source=source or fingerprint(model.unpruned),  # a Hub model has its weights here only now
        details={
            "request": request,
            "calibration_traces": sum(len(batch["input_ids"]) for batch in batches),
            "calibration_tokens": sum(int(batch["attention_mask"].sum()) for batch in batches),
        },
    )
    cut = apply_plan(unpruned, plan)
    lower_ranks(cut, plan.ranks, choice.scales)
    give_back(cut, dtypes_of(model.unpruned, config), plan)
    save_pruned(cut, tokenizer, plan, output)
    return plan


def _reuse(output: Path, request: dict[str, Any], source: str) -> PrunePlan:
    plan = load_existing(output)
    if (plan.details.get("request"), plan.source) != (request, source):
        raise UserError(
            f"{output} holds another pruned model ({plan.method}, {describe_cut(plan)}, of {plan.unpruned}) "
            "or one from other weights or data; name another output folder or remove it"
        )
    return plan


@contextmanager
def _on_gpu(model: PreTrainedModel) -> Iterator[None]:
    """Puts the model on the GPU, where there is one, and back: measuring is worth the trip, cutting is not."""
    home = model.device
    try:
        _move(model, torch.device("cuda") if torch.cuda.is_available() else home)
        yield
    finally:
        _move(model, home)


def _move(model: torch.nn.Module, device: torch.device) -> None:
    model.to(device)
