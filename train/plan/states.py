"""Model states of DeepSpeed and the optimizer on one rank: pure functions from sizes and settings to bytes.

DeepSpeed's buffers have the sizes that its source allocates (0.19: runtime/zero/stage_1_and_2.py, stage3.py,
engine.py); the bytes per parameter in each stage follow ZeRO's arithmetic (arXiv 1910.02054, section 3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from train.sizes import Sizes

FLOAT32 = 4  # bytes
ALLREDUCE_NUMEL = 500_000_000  # elements that DeepSpeed reduces at once without ZeRO
SUB_GROUP_NUMEL = 1_000_000_000  # parameters that ZeRO-3 updates at once
REUSE_NUMEL = 1_000_000_000  # ZeRO-3 keeps weights gathered that it reuses within this many parameters
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
"""optimizer -> (bytes of its states, additional bytes during a step), both per trainable parameter"""
UNKNOWN_OPTIMIZER = (8, 8)
NF4_BYTES = (4 + 8 / 64 + 32 / (64 * 256)) / 8
"""bytes per 4-bit weight, with the 8-bit scales of its block (QLoRA, arXiv 2305.14314, section 3)"""

OF_THE_OPTIMIZER = ("master weights", "optimizer states")


@dataclass(frozen=True)
class Setup:
    """How a run is distributed. weight_bytes: 4 or 2; optimizer: a value of trainer.optim."""

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
        """Whether there are float32 copies of the trainable weights; ZeRO makes them even for float32 weights."""
        return self.stage > 0 or (self.deepspeed and self.weight_bytes < FLOAT32)

    @property
    def optimizer_ranks(self) -> int:
        """How many ranks share the optimizer's states: all of them from stage 1 on."""
        return self.ranks if self.stage else 1

    @property
    def steps_in_main_memory(self) -> bool:
        """Whether gradients move from a GPU to main memory for an optimizer step; on a CPU there is only one memory."""
        return self.device == "cuda" and self.offload_optimizer


def share(numel: int, ranks: int) -> int:
    """The elements of one rank, rounded up."""
    return math.ceil(numel / ranks)


def model_states(sizes: Sizes, setup: Setup) -> dict[str, int]:
    """Weights, float32 master weights and optimizer states of a rank after its first step, on whatever device."""
    trained = share(sizes.trainable, setup.optimizer_ranks)
    weights = sizes.total
    if setup.stage == 3:
        weights = share(sizes.total, setup.ranks) + sizes.persistent
    plain = (weights - sizes.quantised) * setup.weight_bytes
    return {
        "weights": plain + math.ceil(sizes.quantised * NF4_BYTES),
        "master weights": trained * FLOAT32 if setup.masters else 0,
        "optimizer states": trained * STATES.get(setup.optimizer, UNKNOWN_OPTIMIZER)[0],
    }


def gradients(sizes: Sizes, setup: Setup) -> int:
    """Bytes of gradients after a backward pass: unsharded without ZeRO, and at stage 1 between two steps."""
    whole = setup.stage == 0 or (setup.stage == 1 and setup.accumulation_steps > 1)
    return (sizes.trainable if whole else share(sizes.trainable, setup.ranks)) * setup.weight_bytes


def step_gradients(sizes: Sizes, setup: Setup) -> int:
    """Bytes of the flat float32 gradients that the optimizer receives, if they are copies."""
    if not setup.masters:
        return 0
    trained = share(sizes.trainable, setup.optimizer_ranks)
    return FLOAT32 * (min(trained, SUB_GROUP_NUMEL) if setup.stage == 3 else trained)


def flat_gradients(sizes: Sizes, setup: Setup) -> int:
    """Bytes of the flattened gradients in the weights' dtype, from which the float32 copies are cast."""
    return 0 if setup.weight_bytes == FLOAT32 else step_gradients(sizes, setup) // FLOAT32 * setup.weight_bytes


def started(sizes: Sizes, setup: Setup) -> dict[str, int]:
    """Memory on the device once DeepSpeed has started: the master weights exist, and zero gradients are allocated to
    create the optimizer states, which are counted from the first step on."""
    states = model_states(sizes, setup)
    there = on_device({name: size for name, size in states.items() if name != "optimizer states"}, setup)
    zeros = 0 if setup.steps_in_main_memory else step_gradients(sizes, setup)
    return {**there, "gradients in float32": zeros}


def buckets(sizes: Sizes, setup: Setup) -> int:
    """Bytes of the buffers in which gradients are reduced."""
    if not setup.deepspeed:
        return 0
    if setup.stage == 0:
        return min(sizes.trainable, ALLREDUCE_NUMEL) * setup.weight_bytes
    # With overlapping communication (on a GPU), stages 1 and 2 fill one buffer while the other is reduced.
    buffers = 1 if setup.stage == 3 or setup.device == "cpu" else 2
    sent = min(setup.bucket_numel, sizes.trainable)  # a reduction copies what the buffer holds
    return (buffers * _bucket_numel(sizes, setup) + sent) * setup.weight_bytes


def _bucket_numel(sizes: Sizes, setup: Setup) -> int:
    """Elements of one buffer: a GPU's allocator takes all of it, a CPU allocates pages only when they are written."""
    return min(setup.bucket_numel, sizes.trainable) if setup.device == "cpu" else setup.bucket_numel


def gathered(sizes: Sizes, setup: Setup) -> int:
    """Bytes of the weights that ZeRO-3 has gathered at once: those reused soon, the prefetched, the largest module."""
    if setup.stage != 3:
        return 0
    numel = gathered_numel(sizes.total - sizes.persistent, sizes.largest, setup)
    return numel * setup.weight_bytes


def gathered_numel(sharded: int, largest: int, setup: Setup) -> int:
    """Of `sharded` parameters: half of what may be kept for reuse, one prefetch bucket, the largest module."""
    return min(sharded, REUSE_NUMEL // 2 + setup.bucket_numel + largest)


def on_device(states: dict[str, int], setup: Setup) -> dict[str, int]:
    """The states that are not offloaded; on a machine without GPUs there is only one memory."""
    if setup.device == "cpu":
        return states
    offloaded: set[str] = set()
    if setup.offload_optimizer:
        offloaded |= {*OF_THE_OPTIMIZER}
    if setup.offload_parameters:
        offloaded |= {"weights"}
    return {name: size for name, size in states.items() if name not in offloaded}


def gradients_on_device(sizes: Sizes, setup: Setup) -> int:
    return 0 if setup.steps_in_main_memory else gradients(sizes, setup)


def kept_buffers(sizes: Sizes, setup: Setup) -> dict[str, int]:
    """Buffers that ZeRO-3 allocates once and never frees: that of its gradients and that in which they are reduced."""
    if setup.stage != 3:
        return {}
    return {
        "gradients": gradients_on_device(sizes, setup),
        "communication buffers": _bucket_numel(sizes, setup) * setup.weight_bytes,
    }


def step_memory(sizes: Sizes, setup: Setup) -> dict[str, int]:
    """Memory of an optimizer step in addition to states and gradients."""
    if setup.steps_in_main_memory:
        return {}
    # ZeRO gives the optimizer one flat parameter; without it torch updates the parameters one by one.
    updated = share(sizes.trainable, setup.optimizer_ranks) if setup.masters else sizes.largest
    working = STATES.get(setup.optimizer, UNKNOWN_OPTIMIZER)[1] * updated
    return {
        "gradients in float32": step_gradients(sizes, setup),
        "optimizer's working memory": working,
        # freed before the optimizer begins, so its working memory replaces them
        "gradients laid flat": max(0, flat_gradients(sizes, setup) - working),
    }


def host_bytes(sizes: Sizes, setup: Setup) -> dict[str, int]:
    """Main memory of a rank on a GPU machine: offloaded states with their gradients and buffers."""
    if setup.device == "cpu":
        return {}
    states = model_states(sizes, setup)
    parts: dict[str, int] = {}
    if setup.offload_optimizer:
        parts = {} if setup.optimizer_on_disk else {name: states[name] for name in OF_THE_OPTIMIZER}
        parts["gradients"] = share(sizes.trainable, setup.ranks) * (FLOAT32 + setup.weight_bytes)
    if setup.offload_parameters and not setup.parameters_on_disk:
        parts["weights"] = states["weights"]
    return parts


def nvme_bytes(sizes: Sizes, setup: Setup) -> int:
    """Bytes of a rank on NVMe: the states that are offloaded there."""
    states = model_states(sizes, setup)
    optimizer = sum(states[name] for name in OF_THE_OPTIMIZER) if setup.optimizer_on_disk else 0
    weights = states["weights"] if setup.parameters_on_disk else 0
    return optimizer + weights
