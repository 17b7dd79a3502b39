"""The memory of a rank at each moment of a run, and its peak."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from train.plan.activations import Activations
from train.plan.device import NO_OVERHEAD, Overhead
from train.plan.states import (
    Setup,
    buckets,
    gathered,
    gathered_numel,
    gradients_on_device,
    host_bytes,
    kept_buffers,
    model_states,
    on_device,
    share,
    started,
    step_memory,
)
from train.sizes import Sizes

BASE, NCCL, KEPT = "base", "NCCL buffers", "kept by the allocator"
OUTSIDE = (BASE, NCCL)
"""parts outside torch's allocator"""


@dataclass(frozen=True)
class Moment:
    """Memory at one moment of a run, in bytes, by part."""

    name: str
    parts: Mapping[str, int]

    @property
    def total(self) -> int:
        """Memory as the device reports it."""
        return sum(self.parts.values())

    @property
    def reserved(self) -> int:
        """Memory that torch's allocator has reserved."""
        return self.total - sum(self.parts.get(name, 0) for name in OUTSIDE)

    @property
    def allocated(self) -> int:
        """Memory of tensors, a part of what is reserved."""
        return self.reserved - self.parts.get(KEPT, 0)


@dataclass(frozen=True)
class Teacher:
    """A frozen second model, for a loss that compares with it: no gradients, no optimizer.

    ranks: number of ranks that shard its weights (1: not sharded); largest: parameters of its largest module, which are
    gathered together if it is sharded; forward: bytes of its forward pass in addition to its weights; elsewhere:
    parameters in main memory that are on the device only in its forward pass. weight_bytes: mean bytes per parameter.
    """

    parameters: int
    weight_bytes: float
    ranks: int = 1
    largest: int = 0
    forward: int = 0
    elsewhere: int = 0

    @property
    def held(self) -> int:
        """Bytes of its weights that a rank keeps on its device permanently."""
        return round(share(self.parameters - self.elsewhere, self.ranks) * self.weight_bytes)

    @property
    def fetched(self) -> int:
        """Bytes of its weights that a rank keeps in main memory."""
        return round(self.elsewhere * self.weight_bytes)


@dataclass(frozen=True)
class Load:
    """Memory of a run other than model states. base: the process or the CUDA context; sweep: cache and logits of a
    sweep; unpruned: weights of the unpruned model, for its reference sweep; teacher: a second model; overhead: GPU
    memory beyond all these tensors."""

    activations: Activations
    base: int
    sweep: int
    unpruned: int
    teacher: Teacher | None = None
    overhead: Overhead = NO_OVERHEAD


@dataclass(frozen=True)
class MemoryEstimate:
    """The memory of one rank: on its device at every moment (`moments`), and with a GPU also in main memory
    (`host`)."""

    sizes: Sizes
    setup: Setup
    moments: tuple[Moment, ...]
    host: dict[str, int]

    @cached_property
    def peak(self) -> Moment:
        return peak(self.moments)


def estimate_memory(sizes: Sizes, setup: Setup, load: Load) -> MemoryEstimate:
    host, teacher = host_bytes(sizes, setup), load.teacher
    if teacher is not None and teacher.fetched and setup.device == "cuda":
        host = {**host, "teacher": teacher.fetched}
    return MemoryEstimate(sizes, setup, moments(sizes, setup, load), host)


def moments(sizes: Sizes, setup: Setup, load: Load) -> tuple[Moment, ...]:
    """The moments at which a rank's device may reach its peak, in the order of a step; the sweeps come last."""
    return tuple(_with_overhead(moment, load.overhead) for moment in _tensors(sizes, setup, load))


def _with_overhead(moment: Moment, overhead: Overhead) -> Moment:
    """The moment with the overhead of a GPU; on a CPU nothing is added."""
    workspaces = {"cuBLAS workspaces": overhead.workspaces} if overhead.workspaces else {}
    parts = {**moment.parts, **workspaces}
    kept = round(overhead.kept_share * Moment(moment.name, parts).allocated)
    beside = {NCCL: overhead.communication, KEPT: kept}
    return Moment(moment.name, {**parts, **{name: size for name, size in beside.items() if size}})


def _tensors(sizes: Sizes, setup: Setup, load: Load) -> tuple[Moment, ...]:
    """The moments with the base and the tensors."""
    # Parts are merged by name, and a later one replaces an earlier one of the same name: the buffers that ZeRO-3 never
    # frees are also used to reduce gradients, and must not be counted twice.
    states = {BASE: load.base, **on_device(model_states(sizes, setup), setup), **kept_buffers(sizes, setup)}
    if load.teacher is not None:
        states["teacher"] = load.teacher.held
    # In a forward or backward pass ZeRO-3 has gathered some weights; before an optimizer step it releases them.
    passing = {**states, "weights gathered": gathered(sizes, setup)}
    all_gradients = {"gradients": gradients_on_device(sizes, setup)}
    # With accumulation, every micro batch but the first begins with the gradients of the earlier ones.
    if setup.accumulation_steps > 1:
        passing = passing | all_gradients
    backward = {**passing, "communication buffers": buckets(sizes, setup)}
    seen = load.activations
    return (
        Moment("load", {BASE: load.base, **started(sizes, setup)}),
        *_teaching(passing, setup, load),
        Moment("loss", {**passing, "activations": seen.saved, "logits and loss": seen.head}),
        Moment(
            "backward, first layers",
            {**backward, "gradient of the head": _waiting(sizes, setup, seen), "activations": seen.backward},
        ),
        Moment("backward, last layers", {**backward, **all_gradients, "activations": seen.layer}),
        Moment("optimizer step", {**states, **all_gradients, **step_memory(sizes, setup)}),
        Moment("sweep", {**states, **_swept(sizes, setup), "sweep (cache, logits)": load.sweep}),
        # It comes before the trained model or a teacher is loaded; its own model is freed before that.
        Moment("reference sweep", {BASE: load.base, "weights": load.unpruned, "sweep (cache, logits)": load.sweep}),
        # The weights are merged and compared in main memory while the training states still exist.
        *((Moment("export", states),) if setup.device == "cuda" else ()),
    )


def peak(moments: tuple[Moment, ...]) -> Moment:
    """The moment with the most memory."""
    return max(moments, key=lambda moment: moment.total)


def _teaching(passing: dict[str, int], setup: Setup, load: Load) -> tuple[Moment, ...]:
    """The forward pass of a teacher, before that of the trained model (`train.loss.distill`)."""
    teacher = load.teacher
    if teacher is None:
        return ()
    parts = {**passing, "teacher's activations": teacher.forward}
    if teacher.fetched:
        parts["teacher's layers"] = teacher.fetched
    if teacher.ranks > 1:
        numel = gathered_numel(teacher.parameters, teacher.largest, setup)
        parts["teacher gathered"] = round(numel * teacher.weight_bytes)
    return (Moment("teacher's forward pass", parts),)


def _waiting(sizes: Sizes, setup: Setup, seen: Activations) -> int:
    """The gradient of the head during the layers' backward pass: it is complete only with that of a tied embedding, and
    without ZeRO nothing is reduced before the pass has ended."""
    return seen.head_gradient if sizes.tied or setup.stage == 0 else 0


def _swept(sizes: Sizes, setup: Setup) -> dict[str, int]:
    """The full weights that a sweep needs on every rank if they are sharded."""
    return {"weights gathered": sizes.total * setup.weight_bytes} if setup.stage == 3 else {}
