"""Merging layers: the weights of a kept layer become a sum of unpruned layers, as `PrunePlan.mixes` says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from recipes.errors import UserError

Mixes = Mapping[int, Mapping[int, int]]
"""kept layer -> unpruned layer -> coefficient"""


class TooFewMerges(UserError):
    """The threshold allows fewer layers to be removed than the recipe requests."""


def check_mixes(layers: nn.ModuleList, mixes: Mixes) -> None:
    """Raises UserError if layers to be summed differ in the names or shapes of their parameters."""
    for layer, mix in mixes.items():
        for other in mix:
            if _shapes(layers[layer]) != _shapes(layers[other]):
                raise UserError(
                    f"prune plan: layer {other} cannot be merged into layer {layer}: their parameters differ in name "
                    "or shape"
                )


def merge_layers(layers: nn.ModuleList, mixes: Mixes) -> None:
    """Replaces every kept layer by its sum, in place: all parameters, also norms and biases, in their present dtype.

    layers: all layers of the unpruned model. A merged layer keeps its own kind of attention.

    The equation (LaCo, arXiv 2402.11187) covers all parameters of a layer. The code published with the paper leaves
    the norms unchanged and subtracts the running sum instead of the first layer, so its result is only the last layer
    of the group. Up to the norms, such a merge is the group (first, last) here.
    """
    with torch.no_grad():
        for layer, mix in mixes.items():
            if dict(mix) == {layer: 1}:
                continue
            # In place is safe: a layer reads only itself and removed layers, and each removed layer goes into exactly
            # one kept layer.
            _fill(layers[layer], layers, mix)


def merged_layer(layers: nn.ModuleList, layer: int, mix: Mapping[int, int]) -> nn.Module:
    """A copy of what `merge_layers` would make of a layer; `layers` keep their weights."""
    copy = deepcopy(layers[layer])
    with torch.no_grad():
        _fill(copy, layers, mix)
    return copy


def _fill(target: nn.Module, layers: nn.ModuleList, mix: Mapping[int, int]) -> None:
    """Tensor by tensor, so that the extra memory is one tensor in float64."""
    sources = {other: dict(layers[other].named_parameters()) for other in mix}
    for name, parameter in target.named_parameters():
        parameter.copy_(_sum(parameter, [(share, sources[other][name]) for other, share in mix.items()]))


def _sum(like: Tensor, terms: Sequence[tuple[int, Tensor]]) -> Tensor:
    """The sum of coefficient times tensor, with the shape of `like`, in float64.

    Differences of similar weights cancel: in bfloat16, every addition would round away what distinguishes the layers.
    """
    total = torch.zeros_like(like, dtype=torch.float64)
    for share, tensor in terms:
        total.add_(tensor.to(total.device), alpha=share)
    return total


def _shapes(layer: nn.Module) -> dict[str, torch.Size]:
    return {name: parameter.shape for name, parameter in layer.named_parameters()}
