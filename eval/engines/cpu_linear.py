"""Linear layers of an evaluation on a CPU, computed with oneDNN instead of MKL.

torch uses MKL for float32 matrix products. Its kernels are slow for the few rows of a decoding step, especially on AMD
processors. oneDNN is part of the same torch, works in the same precision (sums in another order), and reads the weights
in training directly: nothing is packed or kept. `tests/bench/middle.py` shows both speeds. The first product of a new
shape costs some tenths of a millisecond, so small ones stay with MKL.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch.nn import Linear

LARGE_WEIGHT = 1 << 19
"""weights with at least this many elements use oneDNN even for one row"""
LARGE_PRODUCT = 1 << 22
"""smaller weights use it for products of at least this many multiplications, as in a prefill"""


def _forward(layer: Linear, states: torch.Tensor) -> torch.Tensor:
    """A linear layer's forward inside `onednn_linears`: [..., inputs] to [..., outputs].

    The weight is looked up at every call, since training may replace it between sweeps.
    """
    if not _is_worth_it(states, layer.weight) or torch.is_grad_enabled():  # oneDNN's product has no gradient
        return torch.nn.functional.linear(states, layer.weight, layer.bias)
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(states, layer.weight, layer.bias, "none", [], "")
    return product


def _is_worth_it(states: torch.Tensor, weight: torch.Tensor) -> bool:
    size = weight.numel()
    if size < LARGE_WEIGHT and states.numel() * weight.shape[0] < LARGE_PRODUCT:
        return False
    return states.device.type == "cpu" and states.dtype == weight.dtype == torch.float32


def has_onednn() -> bool:
    """Whether this torch has oneDNN and its product for plain weights."""
    return bool(torch.backends.mkldnn.is_available()) and hasattr(torch.ops.mkldnn, "_linear_pointwise")


@contextmanager
def onednn_linears(model: torch.nn.Module) -> Iterator[None]:
    """Makes plain linear layers of `model`, also those that adapters wrap, use oneDNN if it is faster; restored after.

    A layer whose forward has been replaced by something else is left unchanged.
    """
    layers: list[Linear] = []
    if has_onednn():
        layers = [module for module in model.modules() if type(module) is Linear and "forward" not in vars(module)]
    try:
        for layer in layers:
            layer.forward = partial(_forward, layer)  # type: ignore[method-assign]
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)
