"""Reads the recipe's trainer section; fields that the recipe does not set have SFTConfig's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from trl import SFTConfig


def setting(trainer: Mapping[str, Any], name: str) -> Any:
    """The section's value of the field `name`, or SFTConfig's default. KeyError if SFTConfig has no such field."""
    default = SFTConfig.__dataclass_fields__[name].default
    return trainer.get(name, default)


@dataclass(frozen=True)
class Batch:
    """The input of one optimizer step.

    micro_batch: sequences in one forward pass of a rank; accumulation_steps: micro batches per rank and step;
    drop_last: whether an incomplete last micro batch of an epoch is dropped.
    """

    micro_batch: int
    accumulation_steps: int
    drop_last: bool

    @classmethod
    def of(cls, trainer: Mapping[str, Any]) -> Self:
        return cls(
            micro_batch=int(setting(trainer, "per_device_train_batch_size")),
            accumulation_steps=int(setting(trainer, "gradient_accumulation_steps")),
            drop_last=bool(setting(trainer, "dataloader_drop_last")),
        )

    def global_batch(self, ranks: int) -> int:
        """Sequences per step over all ranks."""
        return self.micro_batch * self.accumulation_steps * ranks
