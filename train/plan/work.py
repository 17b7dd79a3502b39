"""What a run will train on, sweep and write, as far as it is known before it starts: tokens, sweeps, FLOPs, files."""

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
    """The recipe's traces, as counts. longest: tokens of the longest row that is trained on (packed ones count as
    their capacity); padded: whether rows of a micro batch differ in length; origin: where the counts come from."""

    traces: int
    sequences: int
    tokens: int
    longest: int
    padded: bool
    origin: str


@dataclass(frozen=True)
class SweepCost:
    """Sweeps of a run: how many in training and of the references, problems by suite, the most tokens that one takes
    (0: not known), and its memory on a rank beside the weights. confirm_problems, confirm_tokens: the same of the sweep
    that confirms, done once of three models (0: none)."""

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
    """What a run sweeps and what confirms what it keeps (None: nothing)."""

    sweeps: SweepSpec
    confirm: SweepSpec | None


def read_traces(section: DataSection, specs: Specs | UserError) -> TraceCounts:
    """The prepared set's counts, made as a run would make it (and kept for it). UserError says what to give instead."""
    try:
        if isinstance(specs, UserError):
            raise specs
        if isinstance(section.traces, GenerateTraces):
            raise UserError("data.traces: the traces are still to be generated")
        spec = specs.sweeps
        prepared = prepare(section, spec.tokenizer, spec.protocol.format, suites=measured_suites(spec, specs.confirm))
    except (UserError, OSError) as fault:
        raise UserError(
            f"the traces cannot be counted here ({str(fault).splitlines()[0]}); "
            "give traces=N tokens=N, which are then taken as they are"
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
    """Counts that the user gives; rows are then taken to be as long as the recipe allows."""
    longest, packing = section.max_length_tokens, section.packing
    sequences = min(traces, math.ceil(tokens / longest)) if packing else traces
    return TraceCounts(traces, sequences, tokens, longest, padded=not packing, origin="as given")


def read_specs(recipe: Recipe) -> Specs | UserError:
    """What is swept and what confirms, with the problems, or why that is not known on this machine."""
    try:
        tokenizer = load_tokenizer(recipe.model.unpruned, recipe.model)
        spec = make_sweep_spec(recipe.sweep, recipe.data.format, tokenizer)
        return Specs(spec, make_confirm_spec(recipe.sweep, spec))
    except UserError as fault:
        return fault


def largest_micro_batch(recipe: Recipe, traces: TraceCounts) -> MicroBatch:
    """All rows as long as the longest: a run of any length meets such a batch. Packed rows go as one long row."""
    trainer = recipe.trainer
    rows, length = Batch.of(trainer).micro_batch, traces.longest
    checkpointing = checkpoints_activations(trainer)
    reentrant = bool(checkpointing_kwargs(trainer, recipe.adapter, recipe.zero).get("use_reentrant", False))
    if recipe.data.packing:
        return MicroBatch(1, rows * length, False, checkpointing, reentrant)
    # FlashAttention takes padded rows without a mask.
    padded = traces.padded and rows > 1 and recipe.model.attention != "flash_attention_2"
    return MicroBatch(rows, length, padded, checkpointing, reentrant)


def sweep_count(steps: int, every_steps: int) -> int:
    """Sweeps of the model in training: every N steps, and after the last."""
    return math.ceil(steps / every_steps)


def sweep_cost(
    section: SweepSection, specs: Specs | UserError, unpruned: PreTrainedModel, steps: int, ranks: int
) -> SweepCost:
    """The most that a sweep can cost: every thought goes to the largest budget, every budget gets a whole answer.

    `unpruned` needs no weights: it is the largest model that is swept.
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
    """The most tokens that the thoughts of one sweep of a suite take, with their prompts."""
    return sum(request.longest_prompt_tokens + _thought_tokens(section) for request in requests)


def _cost_by_recipe(section: SweepSection, fault: UserError, count: int, limit_bytes: int) -> SweepCost:
    """The cost where the suites cannot be read, for the reason that `fault` says."""
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
    """What the engine in process takes for its share of a suite, by its own layout."""
    capacity = row_tokens(spec.protocol, max(request.longest_prompt_tokens for request in requests))
    most = min(spec.engine.thoughts_at_once, math.ceil(len(requests) / ranks))
    return lay_out_slots(unpruned, spec.protocol, capacity, most, limit_bytes).bytes


def _thought_tokens(section: SweepSection) -> int:
    """The most tokens for one problem and sample."""
    return section.budgets[-1] + len(section.budgets) * section.answer_tokens


def training_flops(sizes: Sizes, tokens: float, batch: MicroBatch, teacher: Teacher | None = None) -> float:
    """With N parameters of which T train, per token: 2 N forward, 2 N for the gradients of activations, 2 T for those
    of weights, 2 N more where layers are recomputed, and 2 per parameter of a teacher for its forward pass (arXiv
    2001.08361, section 2.1). Attention over the sequence is left out."""
    passes = 3 if batch.checkpointing else 2
    per_token = 2 * sizes.total * passes + 2 * sizes.trainable
    if teacher is not None:
        per_token += 2 * teacher.parameters
    return tokens * per_token


def saves(trainer: Mapping[str, Any], batches: Arithmetic) -> int:
    """How often a run writes a checkpoint; the last step is always written."""
    strategy, every = setting(trainer, "save_strategy"), float(setting(trainer, "save_steps"))
    if strategy == "no":
        return 0
    if strategy == "epoch":
        return max(1, math.ceil(batches.steps * batches.global_batch / batches.sequences))
    every_steps = every if every >= 1 else max(1, math.ceil(batches.steps * every))  # below 1: a share of the run
    return math.ceil(batches.steps / every_steps)


def disk_bytes(recipe: Recipe, sizes: Sizes, written: int) -> dict[str, int]:
    """Bytes on disk by what is kept.

    Of `written` checkpoints the recipe may keep fewer; the one being written comes on top of those.
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
    """What is trained, whole, and the optimizer's states; under ZeRO the weights twice (plain, and DeepSpeed's own) and
    float32 masters."""
    states, _ = STATES.get(optimizer_of(recipe.trainer), UNKNOWN_OPTIMIZER)
    saved = sizes.total if recipe.adapter.method == "none" else sizes.trainable
    plain = saved * weight_bytes + sizes.trainable * states
    if recipe.zero.stage == 0:
        return plain
    return plain + saved * weight_bytes + sizes.trainable * FLOAT32


def optimizer_of(trainer: Mapping[str, Any]) -> str:
    """The name of the optimizer; a key of `STATES` where its memory is known."""
    return str(setting(trainer, "optim"))
