"""What a rank holds at each moment of a run, and the moment at which it holds most."""

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
"""parts that torch's allocator knows nothing of"""


@dataclass(frozen=True)
class Moment:
    """What is held at one moment of a run, in bytes, by part."""

    name: str
    parts: Mapping[str, int]

    @property
    def total(self) -> int:
        """What the device shows."""
        return sum(self.parts.values())

    @property
    def reserved(self) -> int:
        """What torch's allocator has taken of the device."""
        return self.total - sum(self.parts.get(name, 0) for name in OUTSIDE)

    @property
    def allocated(self) -> int:
        """What tensors take of that."""
        return self.reserved - self.parts.get(KEPT, 0)


@dataclass(frozen=True)
class Teacher:
    """A second model that is read and never trained, for a loss that compares with it: no gradients, no optimizer.

    ranks: over how many its weights are sharded (1: whole on each); largest: parameters of its largest module, which
    are gathered together where it is sharded; forward: bytes of its forward pass beside its weights; elsewhere:
    parameters that lie in main memory and are on the device in its forward pass only. weight_bytes: the mean of all.
    """

    parameters: int
    weight_bytes: float
    ranks: int = 1
    largest: int = 0
    forward: int = 0
    elsewhere: int = 0

    @property
    def held(self) -> int:
        """Bytes of its weights that a rank keeps on its device all the time."""
        return round(share(self.parameters - self.elsewhere, self.ranks) * self.weight_bytes)

    @property
    def fetched(self) -> int:
        """Bytes of its weights that a rank keeps in main memory."""
        return round(self.elsewhere * self.weight_bytes)


@dataclass(frozen=True)
class Load:
    """What a run holds beside model states. base: the process or the CUDA context; sweep: cache and logits of a sweep;
    unpruned: weights of the unpruned model, for its reference sweep; teacher: a model beside the trained one; overhead:
    what a GPU holds beside the tensors of all these."""

    activations: Activations
    base: int
    sweep: int
    unpruned: int
    teacher: Teacher | None = None
    overhead: Overhead = NO_OVERHEAD


@dataclass(frozen=True)
class MemoryEstimate:
    """The memory of a run, by rank: at every moment on its device (`moments`), and beside a GPU in main memory
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
    """The moments at which a rank's device may hold most, in the order of a step; the sweeps come last."""
    return tuple(_with_overhead(moment, load.overhead) for moment in _tensors(sizes, setup, load))


def _with_overhead(moment: Moment, overhead: Overhead) -> Moment:
    """The moment as the device sees it. On a CPU nothing is added."""
    workspaces = {"cuBLAS workspaces": overhead.workspaces} if overhead.workspaces else {}
    parts = {**moment.parts, **workspaces}
    kept = round(overhead.kept_share * Moment(moment.name, parts).allocated)
    beside = {NCCL: overhead.communication, KEPT: kept}
    return Moment(moment.name, {**parts, **{name: size for name, size in beside.items() if size}})


def _tensors(sizes: Sizes, setup: Setup, load: Load) -> tuple[Moment, ...]:
    """The moments with the base and what tensors take."""
    # Parts are merged by name, and a later one stands for an earlier of the same name: the buffers that ZeRO-3 never
    # frees are part of what is in use while gradients are reduced, and must not be counted twice.
    states = {BASE: load.base, **on_device(model_states(sizes, setup), setup), **kept_buffers(sizes, setup)}
    if load.teacher is not None:
        states["teacher"] = load.teacher.held
    # In a forward or backward pass ZeRO-3 has gathered some weights; in a step of the optimizer it has let them go.
    passing = {**states, "weights gathered": gathered(sizes, setup)}
    all_gradients = {"gradients": gradients_on_device(sizes, setup)}
    # With accumulation every micro batch but the first begins with the gradients of those before it.
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
        # It comes before the model that trains, or a teacher, is loaded, and its model is gone by then.
        Moment("reference sweep", {BASE: load.base, "weights": load.unpruned, "sweep (cache, logits)": load.sweep}),
        # The weights are merged and compared in main memory, while the states of training are still here.
        *((Moment("export", states),) if setup.device == "cuda" else ()),
    )


def peak(moments: tuple[Moment, ...]) -> Moment:
    """The moment at which most is held."""
    return max(moments, key=lambda moment: moment.total)


def _teaching(passing: dict[str, int], setup: Setup, load: Load) -> tuple[Moment, ...]:
    """The forward pass of a teacher, which comes before that of the trained model (`train.loss.distill`)."""
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
    """The gradient of the head while the layers run backward: it is complete only with that of a tied embedding, and
    without ZeRO nothing is reduced before the pass has ended."""
    return seen.head_gradient if sizes.tied or setup.stage == 0 else 0


def _swept(sizes: Sizes, setup: Setup) -> dict[str, int]:
    """The whole weights that a sweep needs on every rank where they are sharded."""
    return {"weights gathered": sizes.total * setup.weight_bytes} if setup.stage == 3 else {}
