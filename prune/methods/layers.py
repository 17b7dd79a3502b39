"""Removes the layers that the recipe names."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import PreTrainedModel

from prune.methods.method import Batches, Choice, check_count
from recipes.errors import UserError
from recipes.prune import LayersPrune


@dataclass(frozen=True)
class Layers:
    section: LayersPrune
    calibration_traces = 0

    @property
    def count(self) -> int:
        return len(self.section.remove)

    def check(self, total: int) -> None:
        """Raises UserError if a layer is outside the model or named twice, or if no layer would be kept."""
        remove = self.section.remove
        outside = [i for i in remove if not 0 <= i < total]
        if outside:
            raise UserError(f"prune.remove: layers {outside} are not in the model, which has layers 0 to {total - 1}")
        if len(set(remove)) < len(remove):
            raise UserError(f"prune.remove: a layer is named twice in {remove}; name each once")
        check_count(total, self.count)

    def choose(self, model: PreTrainedModel, batches: Batches) -> Choice:
        return Choice(removed=tuple(sorted(self.section.remove)))
