"""The work of a run that is known before it starts: tokens, sweeps, FLOPs, files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedModel

from data_prep.models import DTYPES, load_tokenizer
from data_prep.prepared.prepare import Prepared, prepare
from eval.engines.memory import GIGABYTE, lay_out_slots, row_tokens
from eval.sweep import SweepSpec, make_confirm_spec, make_sweep_spec, suite_requests
from eval.types import Request
from recipes.data import DataSection
from recipes.errors import UserError
from recipes.generation import GenerateTraces
from recipes.schema import Recipe
from recipes.sweep import SweepSection
from train.arguments import Arithmetic, checkpointing_kwargs, checkpoints_activations
from train.batch import Batch, setting
from train.feed import feed_of
from train.inputs import measured_suites
from train.plan.activations import MicroBatch
from train.plan.memory import Teacher
from train.plan.states import FLOAT32, STATES, UNKNOWN_OPTIMIZER
from train.sizes import Sizes


@dataclass(frozen=True)
class TraceCounts:
    """Counts of the recipe's traces. longest: tokens of the longest training row (for packed rows, their capacity);
    padded: whether rows of a micro batch differ in length; origin: the source of the counts."""

    traces: int
    sequences: int
    tokens: int
    longest: int
    padded: bool
    origin: str


@dataclass(frozen=True)
class SweepCost:
    """Sweeps of a run: their number in training and of the references, problems by suite, the maximum of tokens of one
    sweep (0: unknown), and its memory on a rank in addition to the weights. confirm_problems, confirm_tokens: the same
    for the confirmation, done once for three models (0: none)."""

    sweeps: int
    references: int
    problems: dict[str, int]
    tokens: int
    memory_bytes: int
    note: str
    confirm_problems: int = 0
    confirm_tokens: int = 0


@dataclass(frozen=True)
class Specs:
    """The specs of a run's sweeps and of its confirmation (None: no confirmation)."""

    sweeps: SweepSpec
    confirm: SweepSpec | None


def read_traces(section: DataSection, specs: Specs | UserError) -> TraceCounts:
    """Counts of the prepared set, which is made and kept as in a run. UserError says what to give instead."""
    try:
        if isinstance(specs, UserError):
            raise specs
        if isinstance(section.traces, GenerateTraces):
            raise UserError("data.traces: the traces have not been generated yet")
        spec = specs.sweeps
        prepared = prepare(section, spec.tokenizer, spec.protocol.format, suites=measured_suites(spec, specs.confirm))
    except (UserError, OSError) as fault:
        raise UserError(
            f"the traces cannot be counted here ({str(fault).splitlines()[0]}); "
            "give traces=N tokens=N, which are then used unchecked"
        ) from None
    return _counted(section, prepared)


def _counted(section: DataSection, prepared: Prepared) -> TraceCounts:
    lengths = prepared.rows.lengths()
    packing = section.packing
    return TraceCounts(
        traces=len(lengths),
        sequences=feed_of(section, prepared).sequences,
        tokens=prepared.tokens,
        longest=section.max_length_tokens if packing else int(lengths.max()),
        padded=not packing and len(set(lengths.tolist())) > 1,
        origin=f"prepared set {prepared.folder}",
    )


def given_traces(section: DataSection, traces: int, tokens: int) -> TraceCounts:
    """Counts given by the user; rows are then assumed to be as long as the recipe allows."""
    longest, packing = section.max_length_tokens, section.packing
    sequences = min(traces, math.ceil(tokens / longest)) if packing else traces
    return TraceCounts(traces, sequences, tokens, longest, padded=not packing, origin="as given")


def read_specs(recipe: Recipe) -> Specs | UserError:
    """The specs of sweeps and confirmation with their problems, or why this machine does not have them."""
    try:
        tokenizer = load_tokenizer(recipe.model.unpruned, recipe.model)
        spec = make_sweep_spec(recipe.sweep, recipe.data.format, tokenizer)
        return Specs(spec, make_confirm_spec(recipe.sweep, spec))
    except UserError as fault:
        return fault


def largest_micro_batch(recipe: Recipe, traces: TraceCounts) -> MicroBatch:
    """A micro batch of rows as long as the longest, which every long run will meet. Packed rows form one long row."""
    trainer = recipe.trainer
    rows, length = Batch.of(trainer).micro_batch, traces.longest
    checkpointing = checkpoints_activations(trainer)
    reentrant = bool(checkpointing_kwargs(trainer, recipe.adapter, recipe.zero).get("use_reentrant", False))
    if recipe.data.packing:
        return MicroBatch(1, rows * length, False, checkpointing, reentrant)
    # FlashAttention handles padded rows without a mask.
    padded = traces.padded and rows > 1 and recipe.model.attention != "flash_attention_2"
    return MicroBatch(rows, length, padded, checkpointing, reentrant)


def sweep_count(steps: int, every_steps: int) -> int:
    """Number of sweeps in training: one every N steps, and one after the last."""
    return math.ceil(steps / every_steps)


def sweep_cost(
    section: SweepSection, specs: Specs | UserError, unpruned: PreTrainedModel, steps: int, ranks: int
) -> SweepCost:
    """The maximum cost of a sweep: every thought reaches the largest budget, every budget gets a full answer.

    `unpruned`, the largest model that is swept, needs no weights.
    """
    count = sweep_count(steps, section.every_steps)
    limit = int((section.engine.memory_gb or 0) * GIGABYTE)
    if isinstance(specs, UserError):
        return _cost_by_recipe(section, specs, count, limit)
    spec, confirm = specs.sweeps, specs.confirm
    problems = {suite.name: len(suite.problems) for suite in spec.suites}
    by_suite = [suite_requests(suite, spec) for suite in spec.suites if not suite.by_likelihood]
    confirming = suite_requests(confirm.suites[0], confirm) if confirm else []
    tokens = sum(_request_tokens(section, requests) for requests in by_suite)
    every = [requests for requests in (*by_suite, confirming) if requests]
    memory = [_sweep_bytes(spec, unpruned, requests, ranks, limit) for requests in every] if limit else []
    confirms = (section.confirm.problems if section.confirm else 0, _request_tokens(section, confirming))
    return SweepCost(count, 2, problems, tokens, max(memory, default=0), "", *confirms)


def _request_tokens(section: SweepSection, requests: Sequence[Request]) -> int:
    """The maximum of tokens of the thoughts of one sweep of a suite, with their prompts."""
    return sum(request.longest_prompt_tokens + _thought_tokens(section) for request in requests)


def _cost_by_recipe(section: SweepSection, fault: UserError, count: int, limit_bytes: int) -> SweepCost:
    """The cost if the suites cannot be read, for the reason in `fault`."""
    sizes = {suite.name: int(getattr(suite, "size", None) or 0) for suite in section.suites}
    tokens = sum(sizes.values()) * section.samples * _thought_tokens(section)
    note = (
        f"suites are not on this machine ({str(fault).splitlines()[0]}): sizes are the recipe's, "
        "prompts are not counted, memory is the recipe's limit"
    )
    confirms = section.confirm.problems if section.confirm else 0
    confirm_tokens = confirms * section.samples * _thought_tokens(section)
    return SweepCost(count, 2, sizes, tokens, limit_bytes, note, confirms, confirm_tokens)


def _sweep_bytes(
    spec: SweepSpec, unpruned: PreTrainedModel, requests: list[Request], ranks: int, limit_bytes: int
) -> int:
    """Memory of the in-process engine for its share of a suite, from its own layout."""
    capacity = row_tokens(spec.protocol, max(request.longest_prompt_tokens for request in requests))
    most = min(spec.engine.thoughts_at_once, math.ceil(len(requests) / ranks))
    return lay_out_slots(unpruned, spec.protocol, capacity, most, limit_bytes).bytes


def _thought_tokens(section: SweepSection) -> int:
    """The maximum of tokens for one problem and sample."""
    return section.budgets[-1] + len(section.budgets) * section.answer_tokens


def training_flops(sizes: Sizes, tokens: float, batch: MicroBatch, teacher: Teacher | None = None) -> float:
    """With N parameters of which T train, per token: 2 N forward, 2 N for the gradients of activations, 2 T for those
    of weights, 2 N more if layers are recomputed, and 2 per parameter of a teacher for its forward pass (arXiv
    2001.08361, section 2.1). Attention over the sequence is left out."""
    passes = 3 if batch.checkpointing else 2
    per_token = 2 * sizes.total * passes + 2 * sizes.trainable
    if teacher is not None:
        per_token += 2 * teacher.parameters
    return tokens * per_token


def saves(trainer: Mapping[str, Any], batches: Arithmetic) -> int:
    """Number of checkpoints that a run writes; the last step is always written."""
    strategy, every = setting(trainer, "save_strategy"), float(setting(trainer, "save_steps"))
    if strategy == "no":
        return 0
    if strategy == "epoch":
        return max(1, math.ceil(batches.steps * batches.global_batch / batches.sequences))
    every_steps = every if every >= 1 else max(1, math.ceil(batches.steps * every))  # below 1: a share of the run
    return math.ceil(batches.steps / every_steps)


def disk_bytes(recipe: Recipe, sizes: Sizes, written: int) -> dict[str, int]:
    """Bytes on disk, by item.

    The recipe may keep fewer than the `written` checkpoints; the one being written is counted in addition.
    """
    weight_bytes, adapted = DTYPES[recipe.model.dtype].itemsize, recipe.adapter.method != "none"
    limit = setting(recipe.trainer, "save_total_limit")
    kept = min(written, int(limit) + 1) if limit else written
    checkpoint = _checkpoint_bytes(recipe, sizes, weight_bytes)
    merged = sizes.total - sizes.trainable if adapted else sizes.total  # an export is the model with its adapter merged
    exported = merged * DTYPES[recipe.export.dtype].itemsize
    return {
        "pruned model": merged * weight_bytes if recipe.prune is not None else 0,
        "a checkpoint": checkpoint,
        f"{kept} checkpoints": checkpoint * kept,
        "export": exported if recipe.export.enabled else 0,
    }


def _checkpoint_bytes(recipe: Recipe, sizes: Sizes, weight_bytes: int) -> int:
    """All trained weights and the optimizer's states; under ZeRO the weights twice (plain, and DeepSpeed's own) and
    float32 master weights."""
    states, _ = STATES.get(optimizer_of(recipe.trainer), UNKNOWN_OPTIMIZER)
    saved = sizes.total if recipe.adapter.method == "none" else sizes.trainable
    plain = saved * weight_bytes + sizes.trainable * states
    if recipe.zero.stage == 0:
        return plain
    return plain + saved * weight_bytes + sizes.trainable * FLOAT32


def optimizer_of(trainer: Mapping[str, Any]) -> str:
    """The name of the optimizer; a key of `STATES` if its memory is known."""
    return str(setting(trainer, "optim"))
