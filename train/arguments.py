"""The recipe's trainer section as TRL's SFTConfig, and the batch arithmetic that follows from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trl import SFTConfig

from recipes.errors import UserError
from recipes.schema import AdapterSection, Recipe
from recipes.tracking import other_trackers
from recipes.zero import ZeroSection
from train.batch import Batch, setting
from train.processes import device, uses_deepspeed
from train.zero import config_of


def make_arguments(recipe: Recipe, folder: Path, ranks: int = 1) -> SFTConfig:
    """The Trainer's arguments. Under ZeRO-3, models loaded after this call are sharded as they load."""
    deepspeed = None
    if uses_deepspeed(recipe.zero):
        deepspeed = config_of(recipe.zero, recipe.model, recipe.trainer, device().type, ranks)
    return SFTConfig(**config_fields(recipe, folder), deepspeed=deepspeed)


def config_fields(recipe: Recipe, folder: Path) -> dict[str, Any]:
    """The fields of SFTConfig except `deepspeed`: those of the recipe, our defaults, and fields that only we set."""
    kind, trainer = device().type, recipe.trainer
    owned: dict[str, Any] = {
        "output_dir": str(folder),
        "report_to": other_trackers(recipe.trainer.get("report_to")) or "none",  # `train.tracking` handles W&B itself
        "run_name": recipe.wandb.name or folder.name,
        "project": recipe.wandb.project or "chainmend",
        "use_cpu": kind == "cpu",
        "bf16": recipe.model.dtype == "bfloat16",
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "max_length": recipe.data.max_length_tokens,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "remove_unused_columns": False,  # examples are made when the loader takes them (`train.feed`)
        "save_total_limit": None,  # old checkpoints are dropped only after the new one is complete (CheckpointCallback)
        "dataloader_pin_memory": kind == "cuda",
        "use_liger_kernel": False,  # it would change the family for the whole process: `train.fused_kernels`
        "liger_kernel_config": None,
        "activation_checkpointing_kwargs": checkpointing_kwargs(trainer, recipe.adapter, recipe.zero),
    }
    return {**_of_the_device(kind), **_without_aliases(trainer), **owned}


def _of_the_device(kind: str) -> dict[str, Any]:
    """Defaults of fields that a recipe may set. Copies to a GPU from page-locked memory run asynchronously."""
    return {"accelerator_config": {"non_blocking": True}} if kind == "cuda" else {}


def _without_aliases(trainer: Mapping[str, Any]) -> dict[str, Any]:
    """The section with transformers' current names. Gradient checkpointing is on by default, as in TRL."""
    old, new = "gradient_checkpointing", "activation_checkpointing"
    renamed = {key.replace(old, new): value for key, value in trainer.items()}
    return {new: True, **renamed}


def checkpoints_activations(trainer: Mapping[str, Any]) -> bool:
    """Whether layers are recomputed in the backward pass; the section may use either of the two names for it."""
    return bool(_without_aliases(trainer)["activation_checkpointing"])


def checkpointing_kwargs(trainer: Mapping[str, Any], adapter: AdapterSection, zero: ZeroSection) -> dict[str, Any]:
    """How activations are checkpointed: as the section says; by default reentrant if ZeRO-3 shards frozen weights.

    Non-reentrant checkpointing has been reported to find such weights empty in the backward pass
    (huggingface/trl#2514), though not with DeepSpeed 0.19.8 on a CPU. TRL 1.16 chooses the reentrant kind too, but
    under a name that transformers 5.23 no longer reads.
    """
    kwargs: dict[str, Any] = _without_aliases(trainer).get("activation_checkpointing_kwargs") or {}
    sharded_and_frozen = adapter.method != "none" and zero.stage == 3
    if not sharded_and_frozen or not checkpoints_activations(trainer) or kwargs.get("selective"):
        return kwargs
    return {"use_reentrant": True, **kwargs}


@dataclass(frozen=True)
class Arithmetic:
    """How traces become steps. `sequences` counts the traces, or the packed sequences they were put into; `tokens` is
    their total; `steps_per_epoch` includes the short last step of an epoch."""

    batch: Batch
    ranks: int
    traces: int
    sequences: int
    tokens: int
    steps: int
    steps_per_epoch: int

    @property
    def global_batch(self) -> int:
        return self.batch.global_batch(self.ranks)

    @property
    def tokens_per_step(self) -> float:
        """Mean tokens of a full step, without padding."""
        return self.global_batch * self.tokens / self.sequences

    @property
    def per_epoch(self) -> int:
        """Sequences that one epoch trains on: all, unless incomplete micro batches are dropped."""
        micro = self.batch.micro_batch * self.ranks
        return self.sequences // micro * micro if self.batch.drop_last else self.sequences

    @property
    def trained(self) -> int:
        """Sequences that all steps train on, counted once per epoch; the last step of an epoch may be short."""
        whole, rest = divmod(self.steps, self.steps_per_epoch)
        return whole * self.per_epoch + min(rest * self.global_batch, self.per_epoch)

    @property
    def total_tokens(self) -> int:
        """Tokens of all steps, without padding; an expected value if the last epoch is incomplete."""
        return round(self.trained * self.tokens / self.sequences)

    def __str__(self) -> str:
        epochs, short = self.trained / self.per_epoch, self.per_epoch % self.global_batch
        dropped = self.sequences - self.per_epoch
        kind = "traces" if self.sequences == self.traces else "sequences"
        ends = f"; the last step of an epoch has {short} {kind}" if short and self.steps >= self.steps_per_epoch else ""
        ends += f"; {dropped} {kind} left out of each epoch by trainer.dataloader_drop_last" if dropped else ""
        packed = f", packed into {self.sequences:,} sequences" if self.sequences != self.traces else ""
        return (
            f"global batch {self.global_batch} {kind} = "
            f"micro batch {self.batch.micro_batch} × accumulation {self.batch.accumulation_steps} "
            f"× ranks {self.ranks}\n"
            f"{self.tokens_per_step:,.0f} tokens per step ({self.tokens / self.traces:.1f} per trace), "
            f"{self.steps} steps = {self.total_tokens:,} tokens, {epochs:.2f} epochs of {self.traces:,} "
            f"traces{packed}{ends}"
        )


def arithmetic(trainer: Mapping[str, Any], traces: int, sequences: int, tokens: int, ranks: int) -> Arithmetic:
    """The batch arithmetic of a recipe's trainer section, with the same number of steps as the Trainer computes.

    UserError if there would be no step.
    """
    batch = Batch.of(trainer)
    micro_batches, rest = divmod(sequences, batch.micro_batch * ranks)
    if rest and not batch.drop_last:
        micro_batches += 1
    if not micro_batches:
        raise UserError(
            f"trainer.dataloader_drop_last=true: {sequences} {'traces' if sequences == traces else 'packed sequences'} "
            f"do not fill one batch of {batch.micro_batch} on each of {ranks} rank(s), so there is nothing to train "
            "on; lower trainer.per_device_train_batch_size, or write trainer.dataloader_drop_last=false"
        )
    steps = int(setting(trainer, "max_steps"))
    steps_per_epoch = max(1, math.ceil(micro_batches / batch.accumulation_steps))
    if steps < 0:  # no limit: epochs decide. The Trainer rounds up twice: steps per epoch, and steps of all epochs
        steps = math.ceil(steps_per_epoch * float(setting(trainer, "num_train_epochs")))
    if not steps:
        raise UserError("trainer.num_train_epochs=0: there would be no step; raise it, or set trainer.max_steps")
    return Arithmetic(batch, ranks, traces, sequences, tokens, steps, steps_per_epoch)
