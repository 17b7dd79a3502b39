"""Estimates a run from its recipe and machine: model without weights, traces, sweeps, memory, and remedies if it does
not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from transformers import PreTrainedModel

from data_prep.models import DTYPES
from eval.engines.memory import GIGABYTE
from eval.numbers.foresight import Foresight, foresee, foresee_confirmed
from recipes.loader import load_recipe
from recipes.schema import Recipe
from runtime.hub import find_model
from train.arguments import Arithmetic, arithmetic
from train.batch import Batch
from train.plan.activations import Activations, measure_activations
from train.plan.fused import fuses
from train.plan.hours import Hours, Work, hours_by_card, hours_of
from train.plan.machine import Machine, Numbers, find_misfits, read_machine
from train.plan.measure import Measured, without
from train.plan.memory import Load, MemoryEstimate, Moment, Teacher, estimate_memory
from train.plan.remedies import Remedy, remedies
from train.plan.states import Setup, nvme_bytes
from train.plan.teaching import Thoughts, teacher_of, thoughts_of, with_divergence
from train.plan.work import (
    SweepCost,
    TraceCounts,
    disk_bytes,
    given_traces,
    largest_micro_batch,
    optimizer_of,
    read_specs,
    read_traces,
    saves,
    sweep_cost,
    training_flops,
)
from train.sizes import Sizes, skeleton


@dataclass(frozen=True)
class Estimate:
    """All figures of a run that are known before it starts. misfits: one line for each limit that it exceeds."""

    machine: Machine
    memory: MemoryEstimate
    batches: Arithmetic
    traces: TraceCounts
    sweep: SweepCost
    foresight: Foresight | None
    confirm_foresight: Foresight | None
    flops: float
    sweep_flops: float
    hours: Hours
    measured: Measured | None
    disk: dict[str, int]
    misfits: tuple[str, ...]
    remedies: tuple[Remedy, ...]
    thoughts: Thoughts

    @property
    def thinking_flops(self) -> float:
        """Upper bound of the FLOPs of the run's own thoughts: two per parameter and token."""
        return 2.0 * self.memory.sizes.total * self.thoughts.tokens

    @property
    def sweep_share(self) -> float:
        """Share of a run's FLOPs for its own sweeps, without the references."""
        sweeps = self.sweep_flops * self.sweep.sweeps
        return sweeps / (sweeps + self.flops) if sweeps else 0.0

    @property
    def confirm_share(self) -> float:
        """FLOPs of the confirmation (kept checkpoint and both references) as a share of those of training."""
        per_token = self.sweep_flops / self.sweep.tokens if self.sweep.tokens else 0.0
        return 3 * per_token * self.sweep.confirm_tokens / self.flops if self.flops else 0.0

    def facts(self) -> dict[str, Any]:
        """The estimate for JSON: sizes in bytes."""
        return {
            "machine": asdict(self.machine),
            "parameters": asdict(self.memory.sizes),
            "setup": asdict(self.memory.setup),
            "memory": [_row(moment) for moment in self.memory.moments],
            "peak": self.memory.peak.name,
            "peak_bytes": self.memory.peak.total,
            "host_bytes": self.memory.host,
            "traces": asdict(self.traces),
            "steps": self.batches.steps,
            "global_batch": self.batches.global_batch,
            "tokens": self.batches.total_tokens,
            "sweep": asdict(self.sweep),
            "sweep_share": self.sweep_share,
            "foresight": asdict(self.foresight) if self.foresight else None,
            "flops": self.flops,
            "sweep_flops": self.sweep_flops,
            "hours": self.hours.training,
            "sweep_hours": self.hours.sweeps,
            "hours_origin": self.hours.origin,
            "measured": asdict(self.measured) if self.measured else None,
            "disk_bytes": self.disk,
            "misfits": self.misfits,
            "remedies": [asdict(each) for each in self.remedies],
            "confirm_foresight": asdict(self.confirm_foresight) if self.confirm_foresight else None,
            "confirm_share": self.confirm_share,
            "thoughts": asdict(self.thoughts),
            "thinking_flops": self.thinking_flops,
        }


def _row(moment: Moment) -> dict[str, Any]:
    """A moment for JSON: total on the device, of that reserved by torch, of that allocated by tensors; then all
    parts."""
    sums = {"total": moment.total, "reserved": moment.reserved, "allocated": moment.allocated}
    return {"moment": moment.name, **sums, **moment.parts}


def estimate_run(
    arguments: Sequence[str], numbers: Numbers, card: str = "", measured: Measured | None = None
) -> Estimate:
    """The estimate for the recipe in `arguments`. UserError for mistakes of the user.

    `numbers` and `card`: the command's own arguments (see `train.plan.__main__.OWN`); measured: the result of a short
    run on this machine.
    """
    recipe = load_recipe(arguments).recipe
    for name in filter(None, (recipe.model.unpruned, recipe.model.pruned)):
        find_model(name)  # a wrong name is an error now, not after the measurement
    # first: the memory of this process would count towards a measured base
    machine = read_machine(numbers, recipe.zero.stage, card)
    specs = read_specs(recipe)
    counts = {key: int(numbers[key]) for key in ("traces", "tokens") if key in numbers}
    traces = given_traces(recipe.data, **counts) if counts else read_traces(recipe.data, specs)
    batches = arithmetic(recipe.trainer, traces.traces, traces.sequences, traces.tokens, machine.ranks)
    model = _measure(recipe, traces, machine)
    sweep = sweep_cost(recipe.sweep, specs, model.unpruned, batches.steps, machine.ranks)
    memory = _memory(recipe, machine, model, sweep.memory_bytes)
    tokens = batches.total_tokens
    flops = training_flops(model.sizes, tokens, largest_micro_batch(recipe, traces), model.teacher)
    work = Work(tokens, flops, sweep)
    disk = {
        **disk_bytes(recipe, model.sizes, saves(recipe.trainer, batches)),
        "offloaded states": nvme_bytes(model.sizes, memory.setup) * machine.ranks,
    }
    retries = Retries(arguments, machine, traces, sweep.memory_bytes, {_model_key(recipe, traces): model})
    return Estimate(
        machine=machine,
        memory=memory,
        batches=batches,
        traces=traces,
        sweep=sweep,
        foresight=foresee(recipe.sweep, sweep.problems, batches.steps),
        confirm_foresight=foresee_confirmed(recipe.sweep),
        flops=flops,
        sweep_flops=2.0 * model.sizes.total * sweep.tokens,
        hours=hours_of(
            work, numbers, machine.ranks, measured, hours_by_card(recipe, machine.card, machine.ranks, work)
        ),
        measured=measured,
        disk=disk,
        misfits=find_misfits(machine, memory, disk),
        remedies=() if retries.fits(memory) else remedies(recipe, memory.peak.name, retries),
        thoughts=thoughts_of(recipe.on_policy, batches),
    )


@dataclass(frozen=True)
class Model:
    """The models of a recipe; `unpruned` has no weights."""

    unpruned: PreTrainedModel
    sizes: Sizes
    activations: Activations
    teacher: Teacher | None


@dataclass(frozen=True)
class Retries:
    """Estimates of the same run with other keys.

    arguments: the recipe and its keys; sweep_bytes: memory of a sweep in addition to the weights; models: those
    measured so far, since most keys change neither the model nor its micro batch.
    """

    arguments: Sequence[str]
    machine: Machine
    traces: TraceCounts
    sweep_bytes: int
    models: dict[str, Model]

    def memory_with(self, keys: Sequence[str]) -> MemoryEstimate:
        """UserError if the recipe does not accept the keys."""
        recipe = load_recipe([*without(self.arguments, keys), *keys]).recipe
        traces = replace(self.traces, longest=min(self.traces.longest, recipe.data.max_length_tokens))
        limit = int((recipe.sweep.engine.memory_gb or 0) * GIGABYTE)
        key = _model_key(recipe, traces)
        if key not in self.models:
            self.models[key] = _measure(recipe, traces, self.machine)
        return _memory(recipe, self.machine, self.models[key], min(self.sweep_bytes, limit))

    def fits(self, memory: MemoryEstimate) -> bool:
        """Whether no memory limit is exceeded; no tried key changes what is written to disk."""
        return not find_misfits(self.machine, memory, {})


def _measure(recipe: Recipe, traces: TraceCounts, machine: Machine) -> Model:
    models = skeleton(recipe.model, recipe.prune, recipe.adapter)
    batch = largest_micro_batch(recipe, traces)
    if machine.device == "cuda":
        batch = replace(batch, fused=fuses(recipe.trainer, models.pruned.config.model_type))
    activations = measure_activations(models, batch, machine.device)
    head = models.pruned.get_output_embeddings().weight
    return Model(
        models.unpruned,
        models.sizes,
        with_divergence(activations, recipe, head, batch),
        teacher_of(recipe, batch, machine.ranks),
    )


def _model_key(recipe: Recipe, traces: TraceCounts) -> str:
    """A key of everything that determines the model and its activations."""
    sections = (recipe.model, recipe.prune, recipe.adapter, recipe.loss)
    texts = [section.model_dump_json() if section else "" for section in sections]
    return " ".join([*texts, str(largest_micro_batch(recipe, traces)), str(recipe.trainer.get("use_liger_kernel"))])


def _memory(recipe: Recipe, machine: Machine, model: Model, sweep_bytes: int) -> MemoryEstimate:
    """The memory of a rank at each moment."""
    zero, weight_bytes = recipe.zero, DTYPES[recipe.model.dtype].itemsize
    setup = Setup(
        ranks=machine.ranks,
        device=machine.device,
        stage=zero.stage,
        weight_bytes=weight_bytes,
        bucket_numel=zero.bucket_size,
        optimizer=optimizer_of(recipe.trainer),
        accumulation_steps=Batch.of(recipe.trainer).accumulation_steps,
        offload_optimizer=zero.offload_optimizer != "none",
        offload_parameters=zero.offload_parameters != "none",
        optimizer_on_disk=zero.offload_optimizer == "nvme",
        parameters_on_disk=zero.offload_parameters == "nvme",
    )
    unpruned_bytes = model.sizes.unpruned * weight_bytes
    load = Load(
        model.activations, machine.base_bytes, sweep_bytes, unpruned_bytes, model.teacher, overhead=machine.overhead
    )
    return estimate_memory(model.sizes, setup, load)
