"""What a run will train on and sweep, as far as it can be known before: tokens, steps, sweeps, FLOPs, files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from data_prep.models import load_tokenizer
from data_prep.prepared.prepare import Prepared, prepare
from eval.engines.memory import GIGABYTE, lay_out_slots, row_tokens
from eval.sweep import SweepSpec, make_sweep_spec, suite_requests
from recipes.data import GenerateTraces
from recipes.errors import UserError
from recipes.schema import Recipe
from recipes.sweep import SweepSection
from train.arguments import Arithmetic, arithmetic
from train.feed import feed_of
from train.plan.memory import STATES, UNKNOWN_OPTIMIZER
from train.plan.model import Batch, PlannedModel, Sizes

FLOAT32 = 4


@dataclass(frozen=True)
class Traces:
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
    """Sweeps of a run: how many on the way and of the references, problems by suite, the most tokens one takes
    (0: not known), and its memory on a rank beside the weights."""

    sweeps: int
    references: int
    problems: dict[str, int]
    tokens: int
    memory_bytes: int
    note: str


def read_traces(recipe: Recipe, plan: SweepSpec | UserError) -> Traces:
    """The prepared set's counts, made as a run would make it (and kept for it). UserError says what to give instead."""
    try:
        if isinstance(plan, UserError):
            raise plan
        if isinstance(recipe.data.traces, GenerateTraces):
            raise UserError("data.traces: the traces are still to be generated")
        prepared = prepare(recipe.data, plan.tokenizer, plan.protocol.format, suites=plan.suites)
    except (UserError, OSError) as fault:
        raise UserError(
            f"the traces cannot be counted here ({str(fault).splitlines()[0]}); "
            "give traces=N tokens=N, which the plan then takes as they are"
        ) from None
    return _counted(recipe, prepared)


def _counted(recipe: Recipe, prepared: Prepared) -> Traces:
    lengths = prepared.rows.lengths()
    packing = recipe.data.packing
    longest = recipe.data.max_length_tokens if packing else int(lengths.max())
    return Traces(
        len(lengths),
        feed_of(recipe.data, prepared).sequences,
        prepared.tokens,
        longest,
        padded=not packing and len(set(lengths.tolist())) > 1,
        origin=f"prepared set {prepared.folder}",
    )


def given_traces(recipe: Recipe, traces: int, tokens: int) -> Traces:
    """Counts that the user gives; rows are then taken to be as long as the recipe allows."""
    longest, packing = recipe.data.max_length_tokens, recipe.data.packing
    sequences = min(traces, -(-tokens // longest)) if packing else traces
    return Traces(traces, sequences, tokens, longest, padded=not packing, origin="as given")


def sweep_plan(recipe: Recipe) -> SweepSpec | UserError:
    """The sweep's plan with its problems, or why it cannot be had on this machine."""
    try:
        tokenizer = load_tokenizer(recipe.model.unpruned, recipe.model)
        return make_sweep_spec(recipe.sweep, recipe.data.format, tokenizer)
    except UserError as fault:
        return fault


def steps_of(recipe: Recipe, traces: Traces, ranks: int) -> Arithmetic:
    """The batch arithmetic, as a run prints it."""
    return arithmetic(recipe.trainer, traces.traces, traces.sequences, traces.tokens, ranks)


def batch_of(recipe: Recipe, traces: Traces) -> Batch:
    """The largest micro batch that can come: all rows as long as the longest. Packed rows go as one long row."""
    rows, length = int(recipe.trainer.get("per_device_train_batch_size", 8)), traces.longest
    checkpointing = _checkpointing(recipe.trainer)
    reentrant = recipe.adapter.method != "none" and recipe.zero.stage == 3
    if recipe.data.packing:
        return Batch(1, rows * length, False, checkpointing, reentrant)
    padded = traces.padded and rows > 1 and recipe.model.attention != "flash_attention_2"
    return Batch(rows, length, padded, checkpointing, reentrant)


def _checkpointing(trainer: dict[str, Any]) -> bool:
    given = [trainer[key] for key in ("gradient_checkpointing", "activation_checkpointing") if key in trainer]
    return bool(given[0]) if given else True


def sweep_count(steps: int, every_steps: int) -> int:
    """Sweeps of the model in training: every N steps, and after the last."""
    return steps // every_steps + bool(steps % every_steps)


def sweep_cost(recipe: Recipe, plan: SweepSpec | UserError, model: PlannedModel, steps: int, ranks: int) -> SweepCost:
    """The most that a sweep can cost: every thought goes to the largest budget, every budget gets a whole answer."""
    section = recipe.sweep
    count = sweep_count(steps, section.every_steps)
    limit = int((section.engine.memory_gb or 0) * GIGABYTE)
    if isinstance(plan, UserError):
        sizes = {suite.name: int(getattr(suite, "size", None) or 0) for suite in section.suites}
        thoughts = sum(sizes.values()) * section.samples
        return SweepCost(
            count,
            2,
            sizes,
            thoughts * _thought_tokens(section),
            limit,
            f"suites are not on this machine ({str(plan).splitlines()[0]}): sizes are the recipe's, "
            "prompts are not counted, memory is the recipe's limit",
        )
    problems = {suite.name: len(suite.problems) for suite in plan.suites}
    requests = [suite_requests(suite, plan) for suite in plan.suites if not suite.by_likelihood]
    prompts = sum(one.longest_prompt_tokens for each in requests for one in each)
    tokens = prompts + sum(map(len, requests)) * _thought_tokens(section)
    memory = max((_memory(plan, model, each, ranks, limit) for each in requests), default=0) if limit else 0
    return SweepCost(count, 2, problems, tokens, memory, "")


def _memory(plan: SweepSpec, model: PlannedModel, requests: list[Any], ranks: int, limit: int) -> int:
    """What the engine in process reckons for its share of a suite, by its own reckoning."""
    capacity = row_tokens(plan.protocol, max(one.longest_prompt_tokens for one in requests))
    most = min(plan.engine.thoughts_at_once, -(-len(requests) // ranks))
    return lay_out_slots(model.unpruned, plan.protocol, capacity, most, limit).bytes


def _thought_tokens(section: SweepSection) -> int:
    """Tokens that one problem and sample is given at most."""
    return section.budgets[-1] + len(section.budgets) * section.answer_tokens


def training_flops(sizes: Sizes, tokens: float, checkpointing: bool) -> float:
    """2 N forward, 2 N for the gradients of activations, 2 T for those of weights, 2 N more where layers are recomputed
    (arXiv 2001.08361, section 2.1); attention over the sequence is left out."""
    return tokens * (2 * sizes.total * (2 + checkpointing) + 2 * sizes.trainable)


def saves(recipe: Recipe, batch: Arithmetic) -> int:
    """How often a run writes a checkpoint; the last step is always written."""
    strategy, every = recipe.trainer.get("save_strategy", "steps"), float(recipe.trainer.get("save_steps", 500))
    if strategy == "no":
        return 0
    if strategy == "epoch":
        return max(1, math.ceil(batch.steps * batch.global_batch / batch.sequences))
    return math.ceil(batch.steps / (every if every >= 1 else max(1, math.ceil(batch.steps * every))))


def disk_bytes(recipe: Recipe, sizes: Sizes, written: int) -> dict[str, int]:
    """Bytes on disk by what is kept: `written` checkpoints, or as many as the recipe keeps and the one being written.

    Under ZeRO a checkpoint holds the weights twice (plain, and DeepSpeed's own), float32 masters and optimizer states.
    """
    size = FLOAT32 if recipe.model.dtype == "float32" else 2
    state, _ = STATES.get(optimizer_of(recipe), UNKNOWN_OPTIMIZER)
    adapted = recipe.adapter.method != "none"
    weights = (sizes.trainable if adapted else sizes.total) * size
    checkpoint = weights + (weights + sizes.trainable * FLOAT32) * bool(recipe.zero.stage) + sizes.trainable * state
    limit = recipe.trainer.get("save_total_limit")
    kept = min(written, int(limit) + 1) if limit else written
    base = sizes.total - sizes.trainable * adapted
    exported = base * (FLOAT32 if recipe.export.dtype == "float32" else 2) * recipe.export.enabled
    return {
        "pruned model": base * size * (recipe.prune is not None),
        "a checkpoint": checkpoint,
        f"{kept} checkpoints": checkpoint * kept,
        "export": exported,
    }


def optimizer_of(recipe: Recipe) -> str:
    """`trainer.optim`, or transformers' default."""
    return str(recipe.trainer.get("optim", "adamw_torch_fused"))
