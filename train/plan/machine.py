"""The machine of a run, from the user's arguments, and the limits that a run exceeds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import psutil

from eval.engines.memory import GIGABYTE
from recipes.errors import UserError
from train.plan.base_memory import base_bytes
from train.plan.device import NO_OVERHEAD, Overhead, assumed_context, card_at_hand, measured_context, overhead
from train.plan.memory import MemoryEstimate

Numbers = Mapping[str, float]
"""numeric arguments of the command, by key; `_gb` are GiB"""


@dataclass(frozen=True)
class Machine:
    """The machine of a run. Limits in bytes, 0 if unknown; base_bytes: memory of a rank before a model is loaded; card:
    the GPU's name, "" if unknown; overhead: GPU memory beyond the run's tensors."""

    device: Literal["cuda", "cpu"]
    ranks: int
    ranks_per_node: int
    rank_bytes: int
    node_bytes: int
    disk_bytes: int
    base_bytes: int
    base_origin: str
    card: str = ""
    overhead: Overhead = NO_OVERHEAD


def read_machine(numbers: Numbers, stage: int, card: str = "") -> Machine:
    """The machine that the user describes, or this one's CPUs, whose base is measured by a run at ZeRO `stage`.

    `card`: the name of the GPUs; by default that of the local GPU, if there is one.
    """
    gpus = int(numbers.get("gpus", 0))
    ranks = gpus or int(numbers.get("ranks", 1))
    per_node = min(ranks, int(numbers.get("gpus_per_node", 8))) if gpus else ranks
    if ranks % per_node:
        raise UserError(f"gpus={ranks} is not a whole number of machines with gpus_per_node={per_node}")
    node_bytes = _bytes(numbers, "host_memory_gb")
    if not node_bytes and not gpus:
        node_bytes = psutil.virtual_memory().total
    base, base_origin = _base(numbers, stage or int(ranks > 1), card)
    card = (card or card_at_hand()) if gpus else ""
    return Machine(
        device="cuda" if gpus else "cpu",
        ranks=ranks,
        ranks_per_node=per_node,
        rank_bytes=_bytes(numbers, "gpu_memory_gb") if gpus else node_bytes // ranks,
        node_bytes=node_bytes,
        disk_bytes=_bytes(numbers, "disk_gb"),
        base_bytes=base,
        base_origin=base_origin,
        card=card,
        overhead=overhead(card, ranks, os.environ) if gpus else NO_OVERHEAD,
    )


def _bytes(numbers: Numbers, key: str) -> int:
    """0 if the key is not given."""
    return round(numbers.get(key, 0) * GIGABYTE)


def _base(numbers: Numbers, stage: int, card: str) -> tuple[int, str]:
    """Memory of a rank before a model is loaded, in bytes, and the source of that figure."""
    if "base_gb" in numbers:
        return _bytes(numbers, "base_gb"), "as given"
    if "gpus" in numbers:
        context = None if card else measured_context()  # a named card may differ from the local one
        if context is not None:
            return context, "measured on the local GPU (CUDA context, kernels)"
        return assumed_context(card), "assumed (CUDA context, kernels)"
    return base_bytes(stage), "measured by a run of the embedded model"


def find_misfits(machine: Machine, memory: MemoryEstimate, disk: Mapping[str, int]) -> tuple[str, ...]:
    """One line for each limit that is exceeded."""
    on_rank = "a GPU" if machine.device == "cuda" else "a rank"
    in_main_memory = sum(memory.host.values()) * machine.ranks_per_node
    on_disk = sum(disk.values()) - disk.get("a checkpoint", 0)  # it is one of the checkpoints, which are summed
    rows = (
        (on_rank, memory.peak.total, machine.rank_bytes, f"peak: {memory.peak.name}"),
        ("main memory of a machine", in_main_memory, machine.node_bytes, "offloaded states"),
        ("disk", on_disk, machine.disk_bytes, "what a run keeps"),
    )
    return tuple(
        f"{place}: needs {needed / GIGABYTE:.1f} GiB of {limit / GIGABYTE:.1f} ({what})"
        for place, needed, limit, what in rows
        if limit and needed > limit
    )
