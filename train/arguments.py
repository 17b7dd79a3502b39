"""The recipe's trainer section as TRL's SFTConfig, and the batch arithmetic that follows from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trl import SFTConfig

from recipes.schema import Recipe
from train.processes import device, uses_deepspeed
from train.zero import config_of


def make_arguments(recipe: Recipe, folder: Path, ranks: int = 1) -> SFTConfig:
    """All that the Trainer needs to know. Under ZeRO-3 models loaded from now on are sharded as they load."""
    kind = device().type
    owned: dict[str, Any] = {
        "output_dir": str(folder),
        "deepspeed": config_of(recipe, kind, ranks) if uses_deepspeed(recipe.zero) else None,
        "report_to": "none",
        "use_cpu": kind == "cpu",
        "bf16": recipe.model.dtype == "bfloat16",
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "max_length": recipe.data.max_length_tokens,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "remove_unused_columns": False,  # examples are made when they are asked for (`train.feed`)
        "save_total_limit": None,  # old checkpoints are dropped only after the new one is complete (CheckpointCallback)
        "dataloader_pin_memory": kind == "cuda",
    }
    return SFTConfig(
        **{**_without_aliases(recipe.trainer), "activation_checkpointing_kwargs": checkpointing(recipe), **owned}
    )


def _without_aliases(trainer: Mapping[str, Any]) -> dict[str, Any]:
    """The section under the names that transformers keeps; checkpointing is on unless told otherwise, as in TRL."""
    old, new = "gradient_checkpointing", "activation_checkpointing"
    renamed = {key.replace(old, new): value for key, value in trainer.items()}
    return {"activation_checkpointing": True, **renamed}


def checkpointing(recipe: Recipe) -> dict[str, Any]:
    """How activations are checkpointed: as the recipe says, else reentrant where ZeRO-3 shards frozen weights.

    The other kind has been reported to find such weights emptied in the backward pass (huggingface/trl#2514), though
    not with DeepSpeed 0.19.8 on a CPU. TRL 1.16 asks for the reentrant kind too, but under the name that transformers
    5.23 no longer reads.
    """
    fields = _without_aliases(recipe.trainer)
    given: dict[str, Any] = fields.get("activation_checkpointing_kwargs") or {}
    frozen = recipe.adapter.method != "none" and recipe.zero.stage == 3
    if not frozen or not fields["activation_checkpointing"] or given.get("selective"):
        return given
    return {"use_reentrant": True, **given}


@dataclass(frozen=True)
class Arithmetic:
    """How traces become steps. `sequences` are the traces themselves, or what they are packed into."""

    micro_batch: int
    accumulation_steps: int
    ranks: int
    traces: int
    sequences: int
    tokens: int
    steps: int

    @property
    def global_batch(self) -> int:
        return self.micro_batch * self.accumulation_steps * self.ranks

    @property
    def tokens_per_step(self) -> float:
        """The mean, real tokens without padding."""
        return self.global_batch * self.tokens / self.sequences

    def __str__(self) -> str:
        total, epochs = self.steps * self.tokens_per_step, self.steps * self.global_batch / self.sequences
        packed = f", packed into {self.sequences:,} sequences" if self.sequences != self.traces else ""
        return (
            f"global batch {self.global_batch} {'sequences' if packed else 'traces'} = "
            f"micro batch {self.micro_batch} × accumulation {self.accumulation_steps} × ranks {self.ranks}\n"
            f"{self.tokens_per_step:,.0f} tokens a step ({self.tokens / self.traces:.1f} a trace), "
            f"{self.steps} steps = {total:,.0f} tokens, {epochs:.2f} epochs of {self.traces:,} traces{packed}"
        )


def arithmetic(trainer: Mapping[str, Any], traces: int, sequences: int, tokens: int, ranks: int) -> Arithmetic:
    """The batch arithmetic of a recipe's trainer section; defaults are SFTConfig's."""
    micro_batch = int(trainer.get("per_device_train_batch_size", 8))
    accumulation = int(trainer.get("gradient_accumulation_steps", 1))
    batches, rest = divmod(sequences, micro_batch * ranks)
    if rest and not trainer.get("dataloader_drop_last", False):
        batches += 1
    steps = int(trainer.get("max_steps", -1))
    if steps < 0:
        steps = math.ceil(max(1, math.ceil(batches / accumulation)) * float(trainer.get("num_train_epochs", 3.0)))
    return Arithmetic(
        micro_batch=micro_batch,
        accumulation_steps=accumulation,
        ranks=ranks,
        traces=traces,
        sequences=sequences,
        tokens=tokens,
        steps=steps,
    )
