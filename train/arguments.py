"""The recipe's trainer section as TRL's SFTConfig, and the batch arithmetic that follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trl import SFTConfig

from data_prep.tokenize import Prepared
from recipes.schema import Recipe
from train.ranks import device, uses_deepspeed
from train.zero import deepspeed_config


def make_arguments(recipe: Recipe, folder: Path) -> SFTConfig:
    """All that the Trainer needs to know. Under ZeRO-3 models loaded from now on are sharded as they load."""
    kind = device().type
    packing = bool(recipe.trainer.get("packing", False))
    owned: dict[str, Any] = {
        "output_dir": str(folder),
        "deepspeed": deepspeed_config(recipe.zero, kind) if uses_deepspeed(recipe.zero) else None,
        "report_to": "none",
        "use_cpu": kind == "cpu",
        "bf16": recipe.model.dtype == "bfloat16",
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "max_length": recipe.data.max_length_tokens,
        "dataset_kwargs": {"skip_prepare_dataset": not packing},
        "dataloader_pin_memory": kind == "cuda",
    }
    return SFTConfig(**{**recipe.trainer, **owned})


@dataclass(frozen=True)
class Arithmetic:
    """How traces become steps; `tokens_per_step` is the mean, real tokens without padding."""

    micro_batch: int
    accumulation_steps: int
    ranks: int
    traces: int
    tokens_per_trace: float
    steps: int

    @property
    def global_batch(self) -> int:
        return self.micro_batch * self.accumulation_steps * self.ranks

    @property
    def tokens_per_step(self) -> float:
        return self.global_batch * self.tokens_per_trace

    def __str__(self) -> str:
        total, epochs = self.steps * self.tokens_per_step, self.steps * self.global_batch / self.traces
        return (f"global batch {self.global_batch} traces = micro batch {self.micro_batch} × accumulation {self.accumulation_steps} "
                f"× ranks {self.ranks}\n"
                f"{self.tokens_per_step:,.0f} tokens a step ({self.tokens_per_trace:.1f} a trace), {self.steps} steps = "
                f"{total:,.0f} tokens, {epochs:.2f} epochs of {self.traces:,} traces")


def arithmetic(trainer: dict[str, Any], prepared: Prepared, ranks: int) -> Arithmetic:
    """The batch arithmetic of a recipe's trainer section; defaults are SFTConfig's."""
    micro_batch = int(trainer.get("per_device_train_batch_size", 8))
    accumulation = int(trainer.get("gradient_accumulation_steps", 1))
    batches = math.ceil(math.ceil(len(prepared.rows) / ranks) / micro_batch)
    an_epoch = max(1, math.ceil(batches / accumulation))
    steps = int(trainer.get("max_steps", -1))
    if steps < 0:
        steps = math.ceil(an_epoch * float(trainer.get("num_train_epochs", 3.0)))
    return Arithmetic(micro_batch=micro_batch, accumulation_steps=accumulation, ranks=ranks, traces=len(prepared.rows),
                      tokens_per_trace=prepared.tokens / len(prepared.rows), steps=steps)
