"""Block influence: how much a layer turns the hidden state (ShortGPT, arXiv 2403.03853, equation 1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity
from transformers import PreTrainedModel

from prune.families import decoder_layers
from recipes.errors import UserError


class _Meter:
    """Sums 1 - cos(before, after) of each layer over the real tokens of the batch that is being run."""

    def __init__(self, layers: int) -> None:
        self.sums, self.tokens = [0.0] * layers, 0
        self.before: Tensor = torch.empty(0)
        self.mask: Tensor = torch.empty(0, dtype=torch.bool)

    def start(self, mask: Tensor) -> None:
        self.mask = mask.bool()
        self.tokens += int(self.mask.sum())

    def enter(self, _module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        self.before = arguments[0] if arguments else named["hidden_states"]

    def leave(self, index: int) -> Callable[..., None]:
        def add(_module: nn.Module, _arguments: tuple[Any, ...], output: Any) -> None:
            after = output if isinstance(output, Tensor) else output[0]
            mask = self.mask.to(after.device)
            cosine = cosine_similarity(self.before[mask].float(), after[mask].float(), dim=-1)
            self.sums[index] += float((1.0 - cosine.double()).sum())

        return add


def block_influence(model: PreTrainedModel, batches: Iterable[Mapping[str, Tensor]]) -> list[float]:
    """BI_i = 1 - E[cos(x_i, x_{i+1})] of every layer i, the expectation taken over all real tokens of all batches.

    `batches` hold `input_ids` and `attention_mask` of shape [rows, longest]; tokens whose mask is 0 do not count.
    x_{i+1} is the layer's own output, so the last layer is scored before the final norm. Cosines are taken in float32
    and summed in float64 whatever the model's dtype; rounding can give an influence a little below 0. The model is
    left as it was.
    Raises UserError where there is no token, or where an influence is not finite.
    """
    layers = decoder_layers(model)
    meter, training = _Meter(len(layers)), model.training
    hooks = [layer.register_forward_pre_hook(meter.enter, with_kwargs=True) for layer in layers]
    hooks += [layer.register_forward_hook(meter.leave(i)) for i, layer in enumerate(layers)]
    model.eval()
    try:
        with torch.no_grad():
            for batch in batches:
                meter.start(batch["attention_mask"])
                inputs = {name: batch[name].to(model.device) for name in ("input_ids", "attention_mask")}
                model.get_decoder()(**inputs, use_cache=False)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return _means(meter)


def _means(meter: _Meter) -> list[float]:
    if meter.tokens == 0:
        raise UserError("prune: no calibration tokens; give at least one trace (prune.calibration_traces, data.traces)")
    means = [total / meter.tokens for total in meter.sums]
    broken = [i for i, mean in enumerate(means) if not math.isfinite(mean)]
    if broken:
        raise UserError(
            f"prune: the block influence of layers {broken} is not finite; use model.dtype=float32 or check the weights"
        )
    return means
