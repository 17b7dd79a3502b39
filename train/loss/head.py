"""The output layer of a causal model, for losses that compute it: scale * (hidden @ weight.T + bias), soft-capped."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import PreTrainedModel


@dataclass(frozen=True)
class Head:
    """weight [vocabulary, hidden] and bias [vocabulary]; softcap: logits become softcap * tanh(logits / softcap)."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    softcap: float | None
    scale: float


def head_of(model: PreTrainedModel) -> Head:
    """The output layer of `model`, with its family's scale and cap of the logits.

    ValueError if it is not a single linear layer: such a model computes its own loss (`has_linear_head`).
    """
    layer, config = model.get_output_embeddings(), model.config.get_text_config()
    if not has_linear_head(model):
        raise ValueError(f"the output layer of {type(model).__name__} is a {type(layer).__name__}, not a linear layer")
    return Head(layer.weight, layer.bias, getattr(config, "final_logit_softcapping", None), _scale(config))


def _scale(config: object) -> float:
    """The factor of the logits; families have different names for it, and two of them divide."""
    for name in ("logit_scale", "output_multiplier", "lm_head_multiplier"):
        factor = getattr(config, name, None)
        if factor is not None:
            return float(factor)
    divisor = getattr(config, "logits_scaling", None)
    if divisor is None:
        return 1.0
    # HyperCLOVA X multiplies by the key that Granite and MiniCPM3 divide by
    return float(divisor) if getattr(config, "model_type", "") == "hyperclovax" else 1 / float(divisor)


def has_linear_head(model: PreTrainedModel) -> bool:
    # a subclass may compute something else: an adapter, 4-bit weights
    return type(model.get_output_embeddings()) is torch.nn.Linear
