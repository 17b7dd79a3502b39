"""The size of linear layers' inputs on the calibration traces: mean squares, feature by feature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from prune.forward import decoder_output, measuring
from prune.methods.method import Batches
from recipes.errors import UserError
from runtime.progress import counted


def mean_squares(model: PreTrainedModel, modules: Mapping[str, nn.Module], batches: Batches) -> dict[str, Tensor]:
    """E[x_c^2] of every input feature c of each module, over all real tokens: [features], float64, on the CPU.

    Squares are taken in float32 and summed in float64, whatever the model's dtype. The model is left unchanged.
    Raises UserError if there is no token, or if a sum is not finite.
    """
    meter = _Meter()
    hooks = [module.register_forward_pre_hook(meter.add_to(name)) for name, module in modules.items()]
    try:
        with measuring(model):
            for batch in counted(batches, "sizes of inputs", len(batches), "batches"):
                meter.start(batch["attention_mask"])
                decoder_output(model, batch)
    finally:
        for hook in hooks:
            hook.remove()
    return _means(meter)


class _Meter:
    """Sums the squares of inputs over the real tokens of the current batch."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.tokens = 0
        self.mask: Tensor = torch.empty(0, dtype=torch.bool)  # [rows, longest]

    def start(self, mask: Tensor) -> None:
        """Starts a batch: only tokens whose mask is not 0 count."""
        self.mask = mask.bool()
        self.tokens += int(self.mask.sum())

    def add_to(self, name: str) -> Callable[..., None]:
        """The hook that runs before the module of that name."""

        def add(_module: nn.Module, arguments: tuple[Any, ...]) -> None:
            real = arguments[0][self.mask.to(arguments[0].device)]  # [real tokens, features]
            squares = real.float().square().sum(dim=0, dtype=torch.float64)
            self.sums[name] = self.sums[name] + squares if name in self.sums else squares

        return add


def _means(meter: _Meter) -> dict[str, Tensor]:
    if meter.tokens == 0:
        raise UserError(
            "prune: no calibration tokens; give at least one trace (prune.calibration_traces, data.traces) or text "
            "(prune.calibration)"
        )
    means = {name: (total / meter.tokens).cpu() for name, total in meter.sums.items()}
    if broken := sorted(name for name, mean in means.items() if not bool(torch.isfinite(mean).all())):
        raise UserError(
            f"prune: the inputs of {broken[0]} are not finite; use model.dtype=float32 or check the weights"
        )
    return means
