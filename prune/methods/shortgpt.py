"""ShortGPT (arXiv 2403.03853): removes the layers with the least block influence.

Block influence says how much a layer changes the direction of the hidden state (equation 1 there).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity
from transformers import PreTrainedModel

from prune.families import decoder_layers
from prune.forward import decoder_output, measuring
from prune.methods.method import Batches, Choice, Counted, checked_means
from recipes.prune import ShortGPTPrune
from runtime.progress import counted


@dataclass(frozen=True)
class ShortGPT(Counted):
    section: ShortGPTPrune

    def choose(self, model: PreTrainedModel, batches: Batches) -> Choice:
        influence = block_influence(model, batches)
        return Choice(removed=least(influence, self.count), scores=tuple(influence))


def least(influence: Sequence[float], count: int) -> tuple[int, ...]:
    """The `count` layers of least influence, sorted by index; ties remove the earlier layer.

    Every layer is eligible, also the first and the last, as in the paper: their score decides.
    """
    ranked = sorted(range(len(influence)), key=lambda i: (influence[i], i))
    return tuple(sorted(ranked[:count]))


def block_influence(model: PreTrainedModel, batches: Batches) -> list[float]:
    """BI_i = 1 - E[cos(x_i, x_{i+1})] of every layer i; the expectation is over all real tokens of all batches.

    x_{i+1} is the layer's own output, so the last layer is scored before the final norm. Cosines are taken in float32
    and summed in float64, whatever the model's dtype; rounding can make an influence slightly negative. The model is
    left unchanged.
    Raises UserError if there is no token, or if an influence is not finite.
    """
    layers = decoder_layers(model)
    meter = _Meter(len(layers))
    hooks = [layer.register_forward_pre_hook(meter.enter, with_kwargs=True) for layer in layers]
    hooks += [layer.register_forward_hook(meter.leave(i)) for i, layer in enumerate(layers)]
    try:
        with measuring(model):
            for batch in counted(batches, "block influence", len(batches), "batches"):
                meter.start(batch["attention_mask"])
                decoder_output(model, batch)
    finally:
        for hook in hooks:
            hook.remove()
    return list(checked_means(dict(enumerate(meter.sums)), meter.tokens, "block influence of layers").values())


class _Meter:
    """Sums 1 - cos(before, after) of each layer over the real tokens of the current batch."""

    def __init__(self, layers: int) -> None:
        self.sums, self.tokens = [0.0] * layers, 0
        self.before: Tensor = torch.empty(0)  # the input of the running layer, [rows, longest, hidden]
        self.mask: Tensor = torch.empty(0, dtype=torch.bool)  # [rows, longest]

    def start(self, mask: Tensor) -> None:
        """Starts a batch: only tokens whose mask is not 0 count."""
        self.mask = mask.bool()
        self.tokens += int(self.mask.sum())

    def enter(self, _module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Before a layer. Only one input is held at a time, since layers run one after the other."""
        self.before = arguments[0] if arguments else named["hidden_states"]

    def leave(self, index: int) -> Callable[..., None]:
        """The hook that runs after layer `index`."""

        def add(_module: nn.Module, _arguments: tuple[Any, ...], output: Any) -> None:
            after = output if isinstance(output, Tensor) else output[0]
            mask = self.mask.to(after.device)
            # padding is dropped before the cosine: [real tokens, hidden] -> [real tokens]
            cosine = cosine_similarity(self.before[mask].float(), after[mask].float(), dim=-1)
            # cosines are near 1, so 1 - cos cancels; the sum over many tokens must not add further rounding
            self.sums[index] += float((1.0 - cosine.double()).sum())

        return add
