"""What a rank holds at each moment of a run: pure functions from sizes and settings to bytes.

The sizes of DeepSpeed's buffers are those that its source allocates (0.19: runtime/zero/stage_1_and_2.py, stage3.py,
engine.py); how many bytes a parameter takes in which stage is ZeRO's arithmetic (arXiv 1910.02054, section 3).
N are all parameters, T the trainable ones, R the ranks, s the bytes of a weight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from train.plan.model import Activations, Sizes

MASTER = FLOAT32 = 4
ALLREDUCE_NUMEL = 500_000_000  # what DeepSpeed reduces at once without ZeRO
SUB_GROUP_NUMEL = 1_000_000_000  # what ZeRO-3 updates at once
REUSE_NUMEL = 1_000_000_000  # ZeRO-3 keeps gathered what it needs again within so many parameters
STATES: dict[str, tuple[int, int]] = {
    "adamw_torch": (8, 8),
    "adamw_torch_fused": (8, 0),
    "sgd": (0, 0),
    "adagrad": (4, 4),
    "rmsprop": (4, 4),
    "adamw_8bit": (2, 0),
    "adamw_bnb_8bit": (2, 0),
    "paged_adamw_8bit": (2, 0),
    "lion_32bit": (4, 0),
    "lion_8bit": (1, 0),
}
"""optimizer -> (bytes of its states a trainable parameter, bytes it takes beside them in a step)"""
UNKNOWN_OPTIMIZER = (8, 8)
NF4_BYTES = (4 + 8 / 64 + 32 / (64 * 256)) / 8
"""a weight in 4 bits, with the scales of its block, themselves in 8 bits (QLoRA, arXiv 2305.14314, section 3)"""

OF_THE_OPTIMIZER = ("master weights", "optimizer states")


@dataclass(frozen=True)
class Setup:
    """How a run is spread out. weight_bytes: 4 or 2; optimizer: a name of trainer.optim."""

    ranks: int
    device: Literal["cuda", "cpu"]
    stage: int
    weight_bytes: int
    bucket_numel: int
    accumulation_steps: int
    optimizer: str
    offload_optimizer: bool = False
    offload_parameters: bool = False
    optimizer_on_disk: bool = False
    parameters_on_disk: bool = False

    @property
    def deepspeed(self) -> bool:
        return self.stage > 0 or self.ranks > 1

    @property
    def masters(self) -> bool:
        """Whether there are float32 copies of the trainable weights: ZeRO makes them of float32 weights too."""
        return self.stage > 0 or (self.deepspeed and self.weight_bytes < FLOAT32)


@dataclass(frozen=True)
class Moment:
    """What is held at one moment of a run, in bytes, by part."""

    name: str
    parts: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.parts.values())


@dataclass(frozen=True)
class Load:
    """What a run holds beside model states. base: the process or the CUDA context; sweep: cache and logits of a sweep;
    unpruned: weights of the unpruned model, for its reference sweep."""

    activations: Activations
    base: int
    sweep: int
    unpruned: int


def share(numel: int, ranks: int) -> int:
    """A rank's part, rounded up."""
    return math.ceil(numel / ranks)


def model_states(sizes: Sizes, setup: Setup) -> dict[str, int]:
    """Weights, float32 master weights and optimizer states of a rank after its first step, wherever they live."""
    sharded = setup.ranks if setup.stage else 1
    mine = share(sizes.trainable, sharded)
    weights = sizes.total
    if setup.stage == 3:
        weights = share(sizes.total, setup.ranks) + sizes.persistent
    plain = (weights - sizes.quantised) * setup.weight_bytes
    return {
        "weights": plain + math.ceil(sizes.quantised * NF4_BYTES),
        "master weights": mine * MASTER * setup.masters,
        "optimizer states": mine * STATES.get(setup.optimizer, UNKNOWN_OPTIMIZER)[0],
    }


def gradients(sizes: Sizes, setup: Setup) -> int:
    """Bytes of gradients when a backward pass has ended: whole without ZeRO, and in stage 1 between two steps."""
    whole = setup.stage == 0 or (setup.stage == 1 and setup.accumulation_steps > 1)
    return (sizes.trainable if whole else share(sizes.trainable, setup.ranks)) * setup.weight_bytes


def step_gradients(sizes: Sizes, setup: Setup) -> int:
    """Bytes of the gradients that the optimizer is given, where they are copies: flat, in float32."""
    if not setup.masters:
        return 0
    mine = share(sizes.trainable, setup.ranks if setup.stage else 1)
    return FLOAT32 * (min(mine, SUB_GROUP_NUMEL) if setup.stage == 3 else mine)


def buckets(sizes: Sizes, setup: Setup) -> int:
    """Bytes of the buffers in which gradients are reduced; on a CPU a buffer takes what is written to it."""
    if not setup.deepspeed:
        return 0
    if setup.stage == 0:
        return min(sizes.trainable, ALLREDUCE_NUMEL) * setup.weight_bytes
    filled = min(setup.bucket_numel, sizes.trainable)
    buffers = 1 if setup.stage == 3 or setup.device == "cpu" else 2
    buffer = filled if setup.device == "cpu" else setup.bucket_numel
    return (buffers * buffer + filled) * setup.weight_bytes  # and the copy that is sent


def gathered(sizes: Sizes, setup: Setup) -> int:
    """Bytes of the weights that ZeRO-3 has together at once: what it needs again soon, the next ones, the largest."""
    if setup.stage != 3:
        return 0
    numel = REUSE_NUMEL // 2 + setup.bucket_numel + sizes.largest
    return min(sizes.total - sizes.persistent, numel) * setup.weight_bytes


def moments(sizes: Sizes, setup: Setup, load: Load) -> tuple[Moment, ...]:
    """The moments at which a rank's device may hold most."""
    states = {"base": load.base, **_on_device(model_states(sizes, setup), setup), **_kept_buffers(sizes, setup)}
    whole = {"weights gathered": gathered(sizes, setup)}
    seen, reduced = load.activations, {"communication buffers": buckets(sizes, setup)}
    ended = {"gradients": _gradients_on_device(sizes, setup)}
    earlier = ended if setup.accumulation_steps > 1 else {}
    waits = sizes.tied or setup.stage == 0  # ZeRO reduces the gradient of an untied head at once
    found = [
        Moment("loss", {**states, **whole, **earlier, "activations": seen.saved, "logits and loss": seen.head}),
        Moment(
            "backward, first layers",
            {
                **states,
                **whole,
                **reduced,
                **earlier,
                "gradient of the head": seen.head_gradient * waits,
                "activations": seen.backward,
            },
        ),
        Moment("backward, last layers", {**states, **whole, **reduced, **ended, "activations": seen.layer}),
        Moment("optimizer step", {**states, **ended, **_step(sizes, setup)}),
        Moment("sweep", {**states, **_swept(sizes, setup), "sweep (cache, logits)": load.sweep}),
        Moment("reference sweep", {"base": load.base, "weights": load.unpruned, "sweep (cache, logits)": load.sweep}),
    ]
    return tuple(found)


def peak(found: tuple[Moment, ...]) -> Moment:
    """The moment at which most is held."""
    return max(found, key=lambda moment: moment.total)


def host_bytes(sizes: Sizes, setup: Setup) -> dict[str, int]:
    """What a rank of a GPU machine keeps in main memory: what is offloaded, with the gradients and buffers of it."""
    if setup.device == "cpu":
        return {}
    states = model_states(sizes, setup)
    parts: dict[str, int] = {}
    if setup.offload_optimizer:
        parts = {} if setup.optimizer_on_disk else {key: states[key] for key in OF_THE_OPTIMIZER}
        parts["gradients"] = share(sizes.trainable, setup.ranks) * (FLOAT32 + setup.weight_bytes)
    if setup.offload_parameters and not setup.parameters_on_disk:
        parts["weights"] = states["weights"]
    return parts


def nvme_bytes(sizes: Sizes, setup: Setup) -> int:
    """What a rank keeps on NVMe: the states that are offloaded there."""
    states = model_states(sizes, setup)
    keys = [*OF_THE_OPTIMIZER] * setup.optimizer_on_disk + ["weights"] * setup.parameters_on_disk
    return sum(states[key] for key in keys)


def _on_device(states: dict[str, int], setup: Setup) -> dict[str, int]:
    """The states that are not offloaded; on a CPU machine all memory is one."""
    if setup.device == "cpu":
        return states
    away = [*OF_THE_OPTIMIZER] * setup.offload_optimizer + ["weights"] * setup.offload_parameters
    return {key: value for key, value in states.items() if key not in away}


def _gradients_on_device(sizes: Sizes, setup: Setup) -> int:
    return 0 if setup.device == "cuda" and setup.offload_optimizer else gradients(sizes, setup)


def _kept_buffers(sizes: Sizes, setup: Setup) -> dict[str, int]:
    """What ZeRO-3 makes once and never frees: the buffer of its gradients and the one in which they are reduced."""
    if setup.stage != 3:
        return {}
    filled = min(setup.bucket_numel, sizes.trainable) if setup.device == "cpu" else setup.bucket_numel
    return {"gradients": _gradients_on_device(sizes, setup), "communication buffers": filled * setup.weight_bytes}


def _step(sizes: Sizes, setup: Setup) -> dict[str, int]:
    """What a step of the optimizer takes beside states and gradients."""
    if setup.device == "cuda" and setup.offload_optimizer:
        return {}
    mine = share(sizes.trainable, setup.ranks if setup.stage else 1)
    working = STATES.get(setup.optimizer, UNKNOWN_OPTIMIZER)[1] * (mine if setup.masters else sizes.largest)
    return {"gradients in float32": step_gradients(sizes, setup), "optimizer's working memory": working}


def _swept(sizes: Sizes, setup: Setup) -> dict[str, int]:
    """The whole weights that a sweep needs on every rank where they are sharded."""
    return {"weights gathered": sizes.total * setup.weight_bytes} if setup.stage == 3 else {}
