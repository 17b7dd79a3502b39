"""Tail pruning: removes the last layers (reverse-order pruning)."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import PreTrainedModel

from prune.families import decoder_layers
from prune.methods.method import Batches, Choice, check_count
from recipes.prune import TailPrune


@dataclass(frozen=True)
class Tail:
    section: TailPrune
    calibration_traces = 0

    @property
    def count(self) -> int:
        return self.section.layers

    def check(self, total: int) -> None:
        check_count(total, self.count)

    def choose(self, model: PreTrainedModel, batches: Batches) -> Choice:
        total = len(decoder_layers(model))
        return Choice(removed=tuple(range(total - self.count, total)))
