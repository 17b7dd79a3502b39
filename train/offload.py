"""Checks the `zero` section against this machine: stages and operators of DeepSpeed's build, memory, disk.

The config and a model without weights suffice, so this runs before anything is loaded.
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
"""bytes per trainable parameter: float32 weight, gradient and two moments (as in ZeRO-Offload, arXiv 2101.06840)"""


@dataclass(frozen=True)
class Need:
    """Bytes that one key of the `zero` section needs on this machine, and the place: cpu or nvme."""

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
    """UserError if this build of DeepSpeed lacks a stage or an operator, or if there is no space for offloading.

    The other sections determine the size of what is offloaded; `device` is cuda or cpu.
    """
    if zero.stage == 0:  # nothing to offload; a single process runs without DeepSpeed
        return
    check_stage(zero.stage, stages_of_the_build())
    check_operators(zero, missing_operators(zero, device))
    if (zero.offload_optimizer, zero.offload_parameters) != ("none", "none"):
        sizes, weight_bytes = skeleton(model, prune, adapter).sizes, DTYPES[model.dtype].itemsize
        check_space(list(needs(zero, sizes, weight_bytes, _share_of_this_machine(ranks))), free_bytes(zero.nvme_dir))


def _share_of_this_machine(ranks: int) -> float:
    """The share of all ranks that run on this machine, from the variables of torch's or DeepSpeed's launcher; else
    1."""
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
    """Keys that need an operator which cannot be built here; values: the operator and its missing requirement."""
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
    """What is offloaded to this machine, which runs `share` of all ranks; one weight takes `weight_bytes`."""
    if zero.offload_optimizer != "none":
        yield Need("offload_optimizer", zero.offload_optimizer, OPTIMIZER_BYTES * sizes.trainable * share)
    if zero.offload_parameters != "none":
        yield Need("offload_parameters", zero.offload_parameters, weight_bytes * sizes.total * share)


def free_bytes(nvme_dir: Path | None) -> dict[str, int]:
    """Free memory (cpu), and free disk below `nvme_dir` (nvme); UserError if that folder cannot be created."""
    free = {"cpu": int(psutil.virtual_memory().available)}
    if nvme_dir is not None:
        try:
            nvme_dir.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise UserError(
                f"zero.nvme_dir={nvme_dir}: cannot be created ({fault.strerror}); name a folder on a local disk"
            ) from None
        free["nvme"] = shutil.disk_usage(nvme_dir).free
    return free


def check_space(needs: list[Need], free: dict[str, int]) -> None:
    """UserError, with both figures, if a place has less free space than needed."""
    for place, what in (("cpu", "memory"), ("nvme", "disk below zero.nvme_dir")):
        needed = sum(need.needed_bytes for need in needs if need.place == place)
        if needed > free.get(place, 0):
            keys = " and ".join(f"zero.{need.key}={place}" for need in needs if need.place == place)
            raise UserError(
                f"{keys}: about {needed / 1e9:.3g} GB of {what} are needed on this machine, but "
                f"{free[place] / 1e9:.3g} GB are free; use more machines, an adapter, or another place"
            )
