"""Whether this machine can do what the `zero` section asks: stages and operators of DeepSpeed's build, memory, disk.

All of it is known from the config and a model without weights, before anything is loaded.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from peft import get_peft_model
from transformers import AutoModelForCausalLM

from data_prep.models import DTYPES, attention, load_config
from recipes.errors import UserError
from recipes.schema import Recipe
from recipes.zero import ZeroSection
from train.model import peft_config

OPTIMIZER_BYTES = 16
"""a parameter that trains: float32 weight, gradient and two moments (as in ZeRO-Offload, arXiv 2101.06840)"""


@dataclass(frozen=True)
class Need:
    """Bytes that one key wants on this machine, and where."""

    key: str
    place: str
    needed_bytes: float


@dataclass(frozen=True)
class Sizes:
    """Parameters of the model in training, and bytes of one of its weights."""

    parameters: int
    trainable: int
    weight_bytes: int


def check_zero(recipe: Recipe, device: str, ranks: int) -> None:
    """UserError where a stage or an operator is not in this build of DeepSpeed, or where offload finds no space."""
    zero = recipe.zero
    if zero.stage == 0:  # nothing to offload, and one process alone goes without DeepSpeed
        return
    check_stage(zero.stage, stages_of_the_build())
    check_operators(zero, missing_operators(zero, device))
    if (zero.offload_optimizer, zero.offload_parameters) != ("none", "none"):
        here = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ.get("LOCAL_SIZE", str(ranks))))
        check_space(list(needs(zero, count(recipe), min(1.0, here / ranks))), free_bytes(zero.nvme_dir))


def stages_of_the_build() -> set[int]:
    from deepspeed.runtime.zero.config import ZeroStageEnum

    return {int(stage) for stage in ZeroStageEnum}


def check_stage(stage: int, known: set[int]) -> None:
    if stage not in known:
        raise UserError(
            f"zero.stage={stage}: this build of DeepSpeed has stages {', '.join(map(str, sorted(known)))}; "
            "use one of them, or install the version that pyproject.toml names"
        )


def missing_operators(zero: ZeroSection, device: str) -> dict[str, str]:
    """Keys that need an operator which cannot be built here, each with the operator and what it lacks."""
    from deepspeed.ops.op_builder import AsyncIOBuilder, CPUAdamBuilder

    found: dict[str, str] = {}
    on_disk = [key for key in ("offload_optimizer", "offload_parameters") if getattr(zero, key) == "nvme"]
    if on_disk and not AsyncIOBuilder().is_compatible(verbose=False):
        found |= dict.fromkeys(on_disk, "async_io; it wants libaio (apt-get install libaio-dev)")
    if zero.offload_optimizer != "none" and device == "cuda" and not CPUAdamBuilder().is_compatible(verbose=False):
        found["offload_optimizer"] = "cpu_adam; it wants g++ and ninja on PATH"
    return found


def check_operators(zero: ZeroSection, missing: dict[str, str]) -> None:
    if missing:
        faults = "; ".join(
            f"zero.{key}={getattr(zero, key)}: this build of DeepSpeed lacks the operator {what}"
            for key, what in missing.items()
        )
        raise UserError(f"{faults}; install it, or use cpu or none")


def count(recipe: Recipe) -> Sizes:
    """The sizes of the unpruned model under the recipe's adapter, made without weights: at least those that train."""
    config = load_config(recipe.model.unpruned, recipe.model)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, attn_implementation=attention(recipe.model.attention))
        adapter = peft_config(recipe.adapter)
        whole = get_peft_model(model, adapter) if adapter is not None else model
    trainable = sum(each.numel() for each in whole.parameters() if each.requires_grad)
    return Sizes(sum(each.numel() for each in whole.parameters()), trainable, DTYPES[recipe.model.dtype].itemsize)


def needs(zero: ZeroSection, sizes: Sizes, share: float) -> Iterator[Need]:
    """What is offloaded to this machine, which holds `share` of all ranks."""
    if zero.offload_optimizer != "none":
        yield Need("offload_optimizer", zero.offload_optimizer, OPTIMIZER_BYTES * sizes.trainable * share)
    if zero.offload_parameters != "none":
        yield Need("offload_parameters", zero.offload_parameters, sizes.weight_bytes * sizes.parameters * share)


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
    """UserError, with both figures, where a place has less free than is wanted of it in all."""
    for place, what in (("cpu", "memory"), ("nvme", "disk below zero.nvme_dir")):
        wanted = sum(need.needed_bytes for need in needs if need.place == place)
        if wanted > free.get(place, 0):
            keys = " and ".join(f"zero.{need.key}={place}" for need in needs if need.place == place)
            raise UserError(
                f"{keys}: about {wanted / 1e9:.3g} GB of {what} are needed on this machine and "
                f"{free[place] / 1e9:.3g} GB are free; use more machines, an adapter, or another place"
            )
