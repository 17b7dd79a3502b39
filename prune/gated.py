"""Gated MLPs, down(act(gate(x)) * up(x)): finds them in a model and removes channels.

A channel is one row of gate and of up, [channels, hidden], and the column of down, [hidden, channels], that reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from prune.channels import Channels
from prune.families import decoder_layers, empty_model
from recipes.errors import UserError

GATE, UP, DOWN = "gate_proj", "up_proj", "down_proj"


def gated_mlps(model: PreTrainedModel) -> list[nn.Module]:
    """The gated MLP of every layer, in order. Raises UserError, with names, if a layer has something else instead."""
    mlps = []
    width = getattr(model.config, "intermediate_size", None)
    for index, layer in enumerate(decoder_layers(model)):
        mlp: Any = getattr(layer, "mlp", None)
        if reason := _not_gated(mlp):
            raise UserError(
                f"prune.method=width: a model of type {model.config.model_type!r} cannot be narrowed: layer {index} "
                f"{reason}; only gated MLPs with {GATE}, {UP} and {DOWN} can"
            )
        if mlp.up_proj.out_features != width:
            raise UserError(
                f"prune.method=width: layer {index} has {mlp.up_proj.out_features} channels, but config.json says "
                f"intermediate_size={width}; only models with one width can be narrowed"
            )
        mlps.append(mlp)
    return mlps


def check_gated(config: PreTrainedConfig) -> None:
    """`gated_mlps` without weights. Models with remote code are not built for this; they are checked when loaded."""
    if hasattr(config, "auto_map"):
        return
    gated_mlps(empty_model(config))


def check_width(mlps: Sequence[nn.Module], channels: Channels) -> None:
    """Raises UserError if the channels are for MLPs of another width."""
    width = mlps[0].get_submodule(UP).get_parameter("weight").shape[0]
    if width != channels.width:
        raise UserError(f"prune plan: it is for MLPs of {channels.width} channels, but these have {width}")


def narrow(mlps: Sequence[nn.Module], channels: Channels) -> None:
    """Reduces each MLP to its channels, in order and in place; narrower MLPs are padded with zeros to the widest.

    A padded channel adds nothing: its gate and up are 0, and so is their product. Training keeps it at 0, also under an
    adapter: the gradients of gate and up each have the other as a factor (act(0) = 0), and that of the down column has
    the product.
    """
    width = channels.stored_width
    mlp: Any
    for mlp, kept in zip(mlps, channels.kept, strict=True):
        index = torch.tensor(kept)
        gate, up, down = mlp.gate_proj, mlp.up_proj, mlp.down_proj
        for linear in (gate, up):
            linear.weight = _kept_rows(linear.weight, index, width)
            if linear.bias is not None:
                linear.bias = _kept_rows(linear.bias, index, width)
            linear.out_features = width
        down.weight = nn.Parameter(_kept_rows(down.weight.T, index, width).detach().T.contiguous())
        down.in_features = width
        if hasattr(mlp, "intermediate_size"):
            mlp.intermediate_size = width


def _kept_rows(tensor: Tensor, index: Tensor, width: int) -> nn.Parameter:
    """[channels, ...] -> [width, ...]: the rows of `index`, then zeros."""
    padded = tensor.new_zeros((width, *tensor.shape[1:]))
    padded[: len(index)] = tensor.detach()[index.to(tensor.device)]
    return nn.Parameter(padded)


def _not_gated(mlp: nn.Module | None) -> str:
    """What is there instead of a gated MLP; "" if it is one."""
    if mlp is None:
        return "has no `mlp`"
    names = {name for name, _ in mlp.named_children()} | {name for name, _ in mlp.named_parameters(recurse=False)}
    if any("expert" in name for name in names) or hasattr(mlp, "experts"):
        return "has experts"
    if "gate_up_proj" in names:
        return "has gate and up in one matrix (gate_up_proj)"
    if not {GATE, UP, DOWN} <= names:
        return f"has an MLP without a gate ({', '.join(sorted(names))})"
    if not all(type(mlp.get_submodule(name)) is nn.Linear for name in (GATE, UP, DOWN)):
        return "has an MLP with layers that are not plain linear ones"
    # a norm inside the MLP (as in BitNet) runs over all channels: removing some would change it
    others = sorted({name.partition(".")[0] for name, _ in mlp.named_parameters()} - {GATE, UP, DOWN})
    return f"has other modules in its MLP ({', '.join(others)})" if others else ""
