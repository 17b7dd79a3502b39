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
    """A threshold lets fewer layers go than were asked for."""


def check_mixes(layers: nn.ModuleList, mixes: Mixes) -> None:
    """UserError where layers that are to be summed differ in the names or shapes of their parameters."""
    for layer, mix in mixes.items():
        for other in mix:
            if _shapes(layers[layer]) != _shapes(layers[other]):
                raise UserError(
                    f"prune plan: layer {other} cannot be merged into layer {layer}: their parameters differ in name "
                    "or shape"
                )


def merge_layers(layers: nn.ModuleList, mixes: Mixes) -> None:
    """Gives every kept layer its sum, in place: all parameters, norms and biases too, in the dtype that they have.

    layers: all layers of the unpruned model. A merged layer keeps its own kind of attention.

    The equation (LaCo, arXiv 2402.11187) speaks of all parameters of a layer. The code published with the paper leaves
    the norms as they are, and subtracts the sum so far in place of the first layer, so that its result is the last
    layer of the group alone; such a merge is the group (first, last) here, up to the norms.
    """
    with torch.no_grad():
        for layer, mix in mixes.items():
            if dict(mix) == {layer: 1}:
                continue
            # In place, since a layer reads itself and layers that are removed, each of which goes into one kept layer
            # alone.
            _fill(layers[layer], layers, mix)


def merged_layer(layers: nn.ModuleList, layer: int, mix: Mapping[int, int]) -> nn.Module:
    """What `merge_layers` would make of a layer, as a copy; `layers` keep their weights."""
    copy = deepcopy(layers[layer])
    with torch.no_grad():
        _fill(copy, layers, mix)
    return copy


def _fill(target: nn.Module, layers: nn.ModuleList, mix: Mapping[int, int]) -> None:
    """Tensor by tensor, so that one of them in float64 is all the memory that it takes."""
    sources = {other: dict(layers[other].named_parameters()) for other in mix}
    for name, parameter in target.named_parameters():
        parameter.copy_(_sum(parameter, [(share, sources[other][name]) for other, share in mix.items()]))


def _sum(like: Tensor, terms: Sequence[tuple[int, Tensor]]) -> Tensor:
    """The sum of coefficient times tensor, of the shape of `like`, in float64.

    Differences of near weights cancel: summed in bfloat16, every step would round away what the layers differ in.
    """
    total = torch.zeros_like(like, dtype=torch.float64)
    for share, tensor in terms:
        total.add_(tensor.to(total.device), alpha=share)
    return total


def _shapes(layer: nn.Module) -> dict[str, torch.Size]:
    return {name: parameter.shape for name, parameter in layer.named_parameters()}
