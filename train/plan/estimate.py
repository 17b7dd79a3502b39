"""From a recipe and a machine to a plan: the model without weights, the traces, the sweeps, the memory, the way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from eval.engines.memory import GIGABYTE
from recipes.errors import UserError
from recipes.loader import load_recipe
from recipes.schema import Recipe
from train.arguments import Arithmetic
from train.plan.base_memory import base_bytes
from train.plan.memory import Load, Moment, Setup, host_bytes, moments, nvme_bytes, peak
from train.plan.model import PlannedModel, Sizes
from train.plan.remedies import Remedy, remedies
from train.plan.work import (
    SweepCost,
    Traces,
    batch_of,
    disk_bytes,
    given_traces,
    optimizer_of,
    read_traces,
    saves,
    steps_of,
    sweep_cost,
    sweep_plan,
    training_flops,
)

ASSUMED_CONTEXT_GB = 1.0
Numbers = Mapping[str, float]


@dataclass(frozen=True)
class Machine:
    """Where a run goes. Limits in bytes, 0 where none is known; base_bytes: what a rank takes before a model."""

    device: str
    ranks: int
    ranks_per_node: int
    rank_bytes: int
    node_bytes: int
    disk_bytes: int
    base_bytes: int
    base_origin: str


@dataclass(frozen=True)
class Estimate:
    """The memory of one recipe on one machine."""

    sizes: Sizes
    setup: Setup
    moments: tuple[Moment, ...]
    host: dict[str, int]

    @cached_property
    def peak(self) -> Moment:
        return peak(self.moments)


@dataclass(frozen=True)
class Plan:
    """All that is known of a run before it starts."""

    machine: Machine
    estimate: Estimate
    batch: Arithmetic
    traces: Traces
    sweep: SweepCost
    flops: float
    sweep_flops: float
    hours: float | None
    disk: dict[str, int]
    misfits: tuple[str, ...]
    remedies: tuple[Remedy, ...]

    @property
    def sweep_share(self) -> float:
        """Share of a run's FLOPs that goes to its own sweeps, not to the references."""
        own = self.sweep_flops * self.sweep.sweeps
        return own / (own + self.flops) if own else 0.0

    def facts(self) -> dict[str, Any]:
        """The plan for JSON: sizes in bytes."""
        memory = [{"moment": moment.name, "total": moment.total, **moment.parts} for moment in self.estimate.moments]
        return {
            "machine": asdict(self.machine),
            "parameters": asdict(self.estimate.sizes),
            "setup": asdict(self.estimate.setup),
            "memory": memory,
            "peak": self.estimate.peak.name,
            "peak_bytes": self.estimate.peak.total,
            "host_bytes": self.estimate.host,
            "traces": asdict(self.traces),
            "steps": self.batch.steps,
            "global_batch": self.batch.global_batch,
            "tokens": round(self.batch.steps * self.batch.tokens_per_step),
            "sweep": asdict(self.sweep),
            "sweep_share": self.sweep_share,
            "flops": self.flops,
            "sweep_flops": self.sweep_flops,
            "hours": self.hours,
            "disk_bytes": self.disk,
            "misfits": self.misfits,
            "remedies": [asdict(each) for each in self.remedies],
        }


def plan_run(arguments: Sequence[str], numbers: Numbers) -> Plan:
    """The plan of the recipe in `arguments`. UserError for what the user can mend."""
    recipe = load_recipe(arguments).recipe
    machine = read_machine(numbers, recipe.zero.stage)
    model = PlannedModel(recipe)
    suites = sweep_plan(recipe)
    counts = {key: int(numbers[key]) for key in ("traces", "tokens") if key in numbers}
    traces = given_traces(recipe, **counts) if counts else read_traces(recipe, suites)
    batch = steps_of(recipe, traces, machine.ranks)
    sweep = sweep_cost(recipe, suites, model, batch.steps, machine.ranks)
    estimate = estimate_memory(recipe, machine, model, traces, sweep.memory_bytes)
    tokens = batch.steps * batch.tokens_per_step
    flops = training_flops(model.sizes, tokens, batch_of(recipe, traces).checkpointing)
    offloaded = nvme_bytes(model.sizes, estimate.setup) * machine.ranks
    disk = {**disk_bytes(recipe, model.sizes, saves(recipe, batch)), "offloaded states": offloaded}
    misfits = find_misfits(machine, estimate, disk)

    known = {_model_key(recipe, traces): model}

    def again(keys: Sequence[str]) -> Estimate:
        changed = load_recipe([*_without(arguments, keys), *keys]).recipe
        shorter = replace(traces, longest=min(traces.longest, changed.data.max_length_tokens))
        limit = (changed.sweep.engine.memory_gb or 0) * GIGABYTE
        key = _model_key(changed, shorter)
        known[key] = known.get(key) or PlannedModel(changed)
        return estimate_memory(changed, machine, known[key], shorter, min(sweep.memory_bytes, int(limit)))

    def faults(found: Estimate) -> bool:
        return bool(find_misfits(machine, found, {}))

    ways = remedies(recipe, estimate.peak.name, again, faults) if find_misfits(machine, estimate, {}) else ()
    return Plan(
        machine,
        estimate,
        batch,
        traces,
        sweep,
        flops,
        2.0 * model.sizes.total * sweep.tokens,
        _hours(numbers, machine.ranks, flops, tokens),
        disk,
        misfits,
        ways,
    )


def _model_key(recipe: Recipe, traces: Traces) -> str:
    """What the model and its activations depend on."""
    sections = (recipe.model, recipe.prune, recipe.adapter)
    return " ".join([*(each.model_dump_json() if each else "" for each in sections), str(batch_of(recipe, traces))])


def _without(arguments: Sequence[str], keys: Sequence[str]) -> list[str]:
    """The arguments but those that `keys` give anew."""
    anew = {key.partition("=")[0] for key in keys}
    return [each for each in arguments if each.partition("=")[0] not in anew]


def estimate_memory(
    recipe: Recipe, machine: Machine, model: PlannedModel, traces: Traces, sweep_bytes: int
) -> Estimate:
    """What a rank holds at each moment."""
    size = 4 if recipe.model.dtype == "float32" else 2
    setup = Setup(
        ranks=machine.ranks,
        device="cuda" if machine.device == "cuda" else "cpu",
        stage=recipe.zero.stage,
        weight_bytes=size,
        bucket_numel=recipe.zero.bucket_size,
        optimizer=optimizer_of(recipe),
        accumulation_steps=int(recipe.trainer.get("gradient_accumulation_steps", 1)),
        offload_optimizer=recipe.zero.offload_optimizer != "none",
        offload_parameters=recipe.zero.offload_parameters != "none",
        optimizer_on_disk=recipe.zero.offload_optimizer == "nvme",
        parameters_on_disk=recipe.zero.offload_parameters == "nvme",
    )
    load = Load(
        model.activations(batch_of(recipe, traces), machine.device),
        machine.base_bytes,
        sweep_bytes,
        model.sizes.unpruned * size,
    )
    return Estimate(model.sizes, setup, moments(model.sizes, setup, load), host_bytes(model.sizes, setup))


def read_machine(numbers: Numbers, stage: int) -> Machine:
    """The machine that the user names, or this one's CPUs, where the base is measured."""
    gpus = int(numbers.get("gpus", 0))
    ranks = gpus or int(numbers.get("ranks", 1))
    per_node = min(ranks, int(numbers.get("gpus_per_node", 8))) if gpus else ranks
    if ranks % per_node:
        raise UserError(f"gpus={ranks} are no whole number of machines with gpus_per_node={per_node}")
    node = round(numbers.get("host_memory_gb", 0) * GIGABYTE) or (0 if gpus else total_memory_bytes())
    base = round(numbers.get("base_gb", 0) * GIGABYTE)
    measured = "assumed (CUDA context, libraries)" if gpus else "measured by a run of the embedded model"
    if not base:
        base = round(ASSUMED_CONTEXT_GB * GIGABYTE) if gpus else base_bytes(stage or int(ranks > 1))
    rank = round(numbers.get("gpu_memory_gb", 0) * GIGABYTE) if gpus else node // ranks
    return Machine(
        "cuda" if gpus else "cpu",
        ranks,
        per_node,
        rank,
        node,
        round(numbers.get("disk_gb", 0) * GIGABYTE),
        base,
        "as given" if "base_gb" in numbers else measured,
    )


def total_memory_bytes() -> int:
    """Main memory of this machine; 0 where it cannot be read (not Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:")), 0)


def find_misfits(machine: Machine, estimate: Estimate, disk: Mapping[str, int]) -> tuple[str, ...]:
    """One line for each limit that is exceeded."""
    needs = {
        ("a GPU" if machine.device == "cuda" else "a rank", f"most at: {estimate.peak.name}"): (
            estimate.peak.total,
            machine.rank_bytes,
        ),
        ("main memory of a machine", "offloaded states"): (
            sum(estimate.host.values()) * machine.ranks_per_node,
            machine.node_bytes,
        ),
        ("disk", "what a run keeps"): (sum(disk.values()) - disk.get("a checkpoint", 0), machine.disk_bytes),
    }
    return tuple(
        f"{what}: needs {need / GIGABYTE:.1f} GiB of {limit / GIGABYTE:.1f} ({why})"
        for (what, why), (need, limit) in needs.items()
        if limit and need > limit
    )


def _hours(numbers: Numbers, ranks: int, flops: float, tokens: float) -> float | None:
    """Hours of training without sweeps, from a speed that the user has measured; None without one."""
    if "tokens_per_second" in numbers:
        return tokens / numbers["tokens_per_second"] / 3600
    if "flops_per_second" in numbers:
        return flops / (numbers["flops_per_second"] * ranks) / 3600
    return None
