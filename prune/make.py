"""From the recipe's sections to a pruned model in a folder: choose, cut, save."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from data_prep.fingerprint import fingerprint
from data_prep.models import context_tokens, load_config, load_model, load_tokenizer
from data_prep.prepared.prepare import Prepared
from data_prep.tokens.tokenize import Row
from prune.calibration import Sequences, calibration_batches
from prune.families import check_cuttable, check_family, decoder_layers
from prune.further import cut_model, earlier_plan, in_cut_model
from prune.gaps import check_repair, is_repaired, repair_gaps
from prune.low_rank import lower_ranks
from prune.methods.method import Choice
from prune.methods.table import check_fits, method_of
from prune.own_thoughts import own_thoughts, prompt_of
from prune.plan import PrunePlan, compose, describe_cut
from prune.repaired import Repair
from prune.stored_dtype import dtype_to_cut_in, dtypes_of, give_back
from prune.surgery import apply_plan, is_occupied, load_existing, save_pruned
from prune.texts import read_texts, text_sequences
from recipes.errors import UserError
from recipes.prune import (
    OwnThoughtsCalibration,
    PruneSection,
    TextCalibration,
)
from recipes.schema import ModelSection

BATCH_SIZE = 4
"""calibration traces per batch; affects scores by rounding only"""


def check_request(section: PruneSection, model: ModelSection) -> None:
    """Raises UserError for everything that configs and files can show before any weights are loaded: layers that are
    not in the model, an earlier cut of another model, calibration texts that are missing or are not texts."""
    in_cut = in_cut_model(section, earlier_plan(section, model))
    method = method_of(in_cut)
    config = load_config(cut_model(section, model), model)
    check_family(config)
    check_fits(method, config)
    check_repair(in_cut, config, model.trust_remote_code)
    kind = section.calibration
    if isinstance(kind, TextCalibration):
        _check_context("text", kind.max_tokens, kind.max_tokens, section, model)
        read_texts(kind, count_of(section))


def make_pruned(
    section: PruneSection, model: ModelSection, calibration: Callable[[], Prepared], output: Path
) -> PrunePlan:
    """Prunes the unpruned model as `section` says, writes model, tokenizer and plan to `output`, and returns the plan.

    Weights that are not merged, narrowed or lowered in rank are written bit for bit, in the dtype of the checkpoint
    (see `prune.stored_dtype`). If the section names a model that was cut before, that model is cut, and the plan holds
    both cuts.

    calibration: returns the traces to measure on; called only if the method needs traces (see `prune.calibration`).

    If `output` already holds the result of this request for the same weights and data, it is checked and kept without
    loading the model. Call it in one process only. Raises UserError if the model cannot be cut like this, or if
    `output` holds anything else.
    """
    tokenizer = load_tokenizer(model.unpruned, model)
    check_request(section, model)
    path, earlier = cut_model(section, model), earlier_plan(section, model)
    measured = _before_weights(section, model, calibration, tokenizer)
    request = _request(section, model, measured.facts)
    source = fingerprint(model.unpruned)
    if is_occupied(output):
        return _reuse(output, request, source)
    config = load_config(path, model)
    dtype = dtype_to_cut_in(dtypes_of(path, config), model.dtype)
    uncut = load_model(path, model.changed(dtype=dtype))
    check_cuttable(uncut)
    choice, repairs, facts = _choose(in_cut_model(section, earlier), uncut, tokenizer, measured.rows)
    step = PrunePlan(
        method=section.method,
        layers=len(decoder_layers(uncut)),
        removed=choice.removed,
        scores=choice.scores,
        merged=choice.merged,
        channels=choice.channels,
        ranks=choice.ranks,
        unpruned=model.unpruned,
        source=fingerprint(path),  # a Hub model's weights are downloaded only by now
        details={"request": request, **facts, **({"choice": choice.details} if choice.details else {})},
        repairs=repairs,
    )
    cut = apply_plan(uncut, step)
    lower_ranks(cut, step.ranks, choice.scales)
    give_back(cut, dtypes_of(path, config), step)
    plan = step if earlier is None else compose(earlier, step)
    save_pruned(cut, tokenizer, plan, output)
    return plan


def _before_weights(
    section: PruneSection, model: ModelSection, calibration: Callable[[], Prepared], tokenizer: PreTrainedTokenizerBase
) -> Sequences:
    """What the method measures on, or the prompts for the model's own thoughts; `facts` identify it in the request."""
    count, kind = count_of(section), section.calibration
    if not count:
        return Sequences(())
    if isinstance(kind, TextCalibration):
        texts = text_sequences(kind, count, tokenizer)
        ids = json.dumps([row.input_ids for row in texts.rows]).encode()
        return Sequences(texts.rows, {"texts_hash": hashlib.sha256(ids).hexdigest()[:16], **texts.facts})
    prepared = calibration()
    rows = prepared.rows[:count]
    if isinstance(kind, OwnThoughtsCalibration):
        longest = max(len(prompt_of(row)) for row in rows)
        _check_context("a prompt and a thought", longest + kind.max_tokens, kind.max_tokens, section, model)
    return Sequences(rows, {"data_hash": prepared.hash})


def _check_context(what: str, tokens: int, max_tokens: int, section: PruneSection, model: ModelSection) -> None:
    context = context_tokens(cut_model(section, model), model)
    if tokens > context:
        raise UserError(
            f"prune.calibration.max_tokens={max_tokens}: {what} would take {tokens} tokens, the model's context has "
            f"{context}; write at most {max_tokens - (tokens - context)}"
        )


def _request(section: PruneSection, model: ModelSection, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What identifies a pruned folder, in addition to the weights.

    Keys that earlier versions did not write are present only if set, so that folders made by those versions are reused.
    """
    values = section.model_dump(mode="json")
    if section.cut_from is None:
        del values["cut_from"]
    else:
        facts = {**facts, "cut_source": fingerprint(section.cut_from)}
    if values.get("calibration") in (None, {"source": "traces"}):
        values.pop("calibration", None)
    if not is_repaired(section):
        values.pop("repair", None)
    if not count_of(section):
        values.pop("calibration_traces", None)
    return {"prune": values, "dtype": model.dtype, **facts}


def _choose(
    section: PruneSection, uncut: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]
) -> tuple[Choice, tuple[Repair, ...], dict[str, Any]]:
    """The method's choice; the repairs, which are then in the weights of `uncut`; and what the plan records about the
    data that both were measured on."""
    kind, more = section.calibration, {}
    repairs: tuple[Repair, ...] = ()
    with _on_gpu(uncut) if rows else nullcontext():
        if rows and isinstance(kind, OwnThoughtsCalibration):
            thoughts = own_thoughts(kind, rows, uncut, tokenizer)
            rows, more = thoughts.rows, thoughts.facts
        pad_id = tokenizer.pad_token_id or 0  # without a pad token any id works: it is masked
        batches = calibration_batches(rows, count_of(section), BATCH_SIZE, pad_id)
        choice = method_of(section).choose(uncut, batches)
        if is_repaired(section):
            repairs = repair_gaps(uncut, choice.removed, batches)
    facts = {
        "calibration_traces": sum(len(batch["input_ids"]) for batch in batches),
        "calibration_tokens": sum(int(batch["attention_mask"].sum()) for batch in batches),
    }
    return choice, repairs, {**facts, **more}


def count_of(section: PruneSection) -> int:
    """The number of traces that the method or the repair measures on; 0 if neither needs any."""
    count = method_of(section).calibration_traces
    return section.calibration_traces if is_repaired(section) else count


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
    """Moves the model to the GPU, if there is one, and back: measuring gains from it, cutting does not."""
    home = model.device
    try:
        _move(model, torch.device("cuda") if torch.cuda.is_available() else home)
        yield
    finally:
        _move(model, home)


def _move(model: torch.nn.Module, device: torch.device) -> None:
    model.to(device)
