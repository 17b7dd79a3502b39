"""The memory that fused kernels keep for the backward pass: RMSNorm, rotary embedding and SwiGLU in one kernel each.

Liger's kernels (arXiv 2410.10989) keep their inputs and one number per row, write the rotary embedding and most
gradients in place, and run only on a GPU. The functions here stand in for them on fake tensors.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import torch
from transformers import PreTrainedModel

FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "smollm3")
"""model types whose norm is x / rms(x) * weight and whose MLP is SwiGLU"""
ROTARY = "apply_rotary_pos_emb"
Tensor = torch.Tensor


def fuses(trainer: Mapping[str, Any], family: str) -> bool:
    """Whether a run on a GPU has fused kernels: as `trainer.use_liger_kernel` says, else if Liger is installed."""
    asked = trainer.get("use_liger_kernel")
    wanted = find_spec("liger_kernel") is not None if asked is None else bool(asked)
    return wanted and family in FAMILIES


class Norm(torch.autograd.Function):
    """Of x [..., size] and weight [size]: keeps x and one float32 per row, and overwrites the incoming gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, x.new_empty(x.shape[:-1], dtype=torch.float32))
        return torch.empty_like(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None]:
        weight = ctx.saved_tensors[1]
        return gradient, torch.empty_like(weight) if ctx.needs_input_grad[1] else None


class Swiglu(torch.autograd.Function):
    """silu(gate) * up: keeps both, and overwrites them with their gradients."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return torch.empty_like(gate)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        return gate, up


class Rotary(torch.autograd.Function):
    """Overwrites query and key; keeps cosines and sines, which all layers share."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, cosines: Tensor, sines: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(cosines, sines)
        return query.view_as(query), key.view_as(key)

    @staticmethod
    def backward(ctx: Any, of_query: Tensor, of_key: Tensor) -> tuple[Tensor, Tensor, None, None]:
        return of_query, of_key, None, None


@contextmanager
def as_if_fused(model: PreTrainedModel) -> Iterator[None]:
    """Within the block, norms, MLPs and rotary embedding of `model` keep what fused kernels would.

    Its outputs are meaningless then: this is only for counting memory.
    """
    code = sys.modules[type(model).__module__]
    rotary, changed = getattr(code, ROTARY), [module for module in model.modules() if _fused(module)]
    try:
        for module in changed:
            vars(module)["forward"] = _normed(module) if hasattr(module, "variance_epsilon") else _mixed(module)
        setattr(code, ROTARY, lambda query, key, cosines, sines, *_, **__: Rotary.apply(query, key, cosines, sines))
        yield
    finally:
        setattr(code, ROTARY, rotary)
        for module in changed:
            del vars(module)["forward"]


def _fused(module: torch.nn.Module) -> bool:
    name = type(module).__name__
    return (name.endswith("RMSNorm") and hasattr(module, "variance_epsilon")) or name.endswith("MLP")


def _normed(norm: Any) -> Any:
    return lambda states: Norm.apply(states, norm.weight)


def _mixed(mlp: Any) -> Any:
    return lambda states: mlp.down_proj(Swiglu.apply(mlp.gate_proj(states), mlp.up_proj(states)))
