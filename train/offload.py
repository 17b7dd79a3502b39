"""Whether this machine can do what the `zero` section says: stages and operators of DeepSpeed's build, memory, disk.

All of it is known from the config and a model without weights, before anything is loaded.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from data_prep.models import DTYPES
from recipes.errors import UserError
from recipes.schema import AdapterSection, ModelSection, PruneSection
from recipes.zero import ZeroSection
from train.sizes import Sizes, skeleton

OPTIMIZER_BYTES = 16
"""per parameter that trains: float32 weight, gradient and two moments (as in ZeRO-Offload, arXiv 2101.06840)"""


@dataclass(frozen=True)
class Need:
    """Bytes that one key of the `zero` section needs on this machine, and where: cpu or nvme."""

    key: str
    place: str
    needed_bytes: float


def check_zero(
    zero: ZeroSection,
    model: ModelSection,
    prune: PruneSection | None,
    adapter: AdapterSection,
    device: str,
    ranks: int,
) -> None:
    """UserError where a stage or an operator is not in this build of DeepSpeed, or where offload finds no space.

    The other sections say how large what is offloaded will be; `device` is cuda or cpu.
    """
    if zero.stage == 0:  # nothing to offload, and a single process runs without DeepSpeed
        return
    check_stage(zero.stage, stages_of_the_build())
    check_operators(zero, missing_operators(zero, device))
    if (zero.offload_optimizer, zero.offload_parameters) != ("none", "none"):
        sizes, weight_bytes = skeleton(model, prune, adapter).sizes, DTYPES[model.dtype].itemsize
        check_space(list(needs(zero, sizes, weight_bytes, _share_of_this_machine(ranks))), free_bytes(zero.nvme_dir))


def _share_of_this_machine(ranks: int) -> float:
    """The share of all ranks that run here, by what the launcher (torch's or DeepSpeed's) says of it; else all."""
    ranks_here = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ.get("LOCAL_SIZE", str(ranks))))
    return min(1.0, ranks_here / ranks)


def stages_of_the_build() -> set[int]:
    from deepspeed.runtime.zero.config import ZeroStageEnum

    return {int(stage) for stage in ZeroStageEnum}


def check_stage(stage: int, stages: set[int]) -> None:
    if stage not in stages:
        raise UserError(
            f"zero.stage={stage}: this build of DeepSpeed has stages {', '.join(map(str, sorted(stages)))}; "
            "use one of them, or install the version that pyproject.toml names"
        )


def missing_operators(zero: ZeroSection, device: str) -> dict[str, str]:
    """Keys that need an operator which cannot be built here, each with the operator and what it lacks."""
    from deepspeed.ops.op_builder import AsyncIOBuilder, CPUAdamBuilder

    missing: dict[str, str] = {}
    on_disk = [key for key in ("offload_optimizer", "offload_parameters") if getattr(zero, key) == "nvme"]
    if on_disk and not AsyncIOBuilder().is_compatible(verbose=False):
        missing |= dict.fromkeys(on_disk, "async_io; it needs libaio (apt-get install libaio-dev)")
    if zero.offload_optimizer != "none" and device == "cuda" and not CPUAdamBuilder().is_compatible(verbose=False):
        missing["offload_optimizer"] = "cpu_adam; it needs g++ and ninja on PATH"
    return missing


def check_operators(zero: ZeroSection, missing: dict[str, str]) -> None:
    if missing:
        faults = "; ".join(
            f"zero.{key}={getattr(zero, key)}: this build of DeepSpeed lacks the operator {what}"
            for key, what in missing.items()
        )
        raise UserError(f"{faults}; install it, or use cpu or none")


def needs(zero: ZeroSection, sizes: Sizes, weight_bytes: int, share: float) -> Iterator[Need]:
    """What is offloaded to this machine, which holds `share` of all ranks; a weight takes `weight_bytes`."""
    if zero.offload_optimizer != "none":
        yield Need("offload_optimizer", zero.offload_optimizer, OPTIMIZER_BYTES * sizes.trainable * share)
    if zero.offload_parameters != "none":
        yield Need("offload_parameters", zero.offload_parameters, weight_bytes * sizes.total * share)


def free_bytes(nvme_dir: Path | None) -> dict[str, int]:
    """Free memory (cpu), and free disk below `nvme_dir` (nvme); UserError where that folder cannot be made."""
    free = {"cpu": int(psutil.virtual_memory().available)}
    if nvme_dir is not None:
        try:
            nvme_dir.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise UserError(
                f"zero.nvme_dir={nvme_dir}: cannot be made ({fault.strerror}); name a folder on a local disk"
            ) from None
        free["nvme"] = shutil.disk_usage(nvme_dir).free
    return free


def check_space(needs: list[Need], free: dict[str, int]) -> None:
    """UserError, with both figures, where a place has less free than all that goes there."""
    for place, what in (("cpu", "memory"), ("nvme", "disk below zero.nvme_dir")):
        needed = sum(need.needed_bytes for need in needs if need.place == place)
        if needed > free.get(place, 0):
            keys = " and ".join(f"zero.{need.key}={place}" for need in needs if need.place == place)
            raise UserError(
                f"{keys}: about {needed / 1e9:.3g} GB of {what} are needed on this machine and "
                f"{free[place] / 1e9:.3g} GB are free; use more machines, an adapter, or another place"
            )
