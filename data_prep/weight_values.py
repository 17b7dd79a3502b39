"""The values of a checkpoint, in one pass over all weights: non-finite numbers, zeros, layers with identical bits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from data_prep.contradictions import EMBEDDING, HEAD, LAYER, Tensors
from data_prep.weight_files import read_tensors

SAMPLES = 64
"""numbers kept per tensor during the pass; layers that agree in all of them are read again and compared"""


@dataclass(frozen=True)
class Values:
    """Names of tensors with a number that is not finite, names of matrices that are all zero, and pairs of layers whose
    tensors have identical bits."""

    broken: tuple[str, ...]
    zero: tuple[str, ...]
    equal: tuple[tuple[int, int], ...]


def read_values(folder: Path) -> Values:
    """Reads every file once, tensor by tensor, and a layer a second time if it looks like another one."""
    broken, zero = [], []
    samples: defaultdict[int, dict[str, bytes]] = defaultdict(dict)
    tensors = read_tensors(folder)
    for file in sorted({tensor.file for tensor in tensors.values()}):
        with safe_open(folder / file, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 - not a dict
                tensor = _as_numbers(weights.get_tensor(name))
                if not _is_finite(tensor):
                    broken.append(name)
                if _is_matrix(name, tensor.dim()) and not bool(tensor.any()):
                    zero.append(name)
                if match := LAYER.match(name):
                    samples[int(match[1])][name[match.end() :]] = _sample(tensor)
    alike = (pair for pair in combinations(sorted(samples), 2) if samples[pair[0]] == samples[pair[1]])
    return Values(tuple(broken), tuple(zero), tuple(pair for pair in alike if _same_bits(folder, tensors, *pair)))


def not_finite(file: Path) -> list[str]:
    """The tensors of one safetensors file with a number that is not finite."""
    with safe_open(file, framework="pt") as weights:
        names = list(weights.keys())
        return [name for name in names if not _is_finite(_as_numbers(weights.get_tensor(name)))]


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _is_matrix(name: str, dimensions: int) -> bool:
    """Experts have biases of two dimensions, which may well be zero."""
    return dimensions > 1 and not name.endswith("bias")


def _as_numbers(tensor: Tensor) -> Tensor:
    # `isfinite` does not take 8-bit floats; their values are exact in float32
    return tensor.float() if tensor.is_floating_point() and tensor.element_size() == 1 else tensor


def _sample(tensor: Tensor) -> bytes:
    flat = tensor.reshape(-1)
    return flat[:: max(1, flat.numel() // SAMPLES)].contiguous().view(torch.uint8).numpy().tobytes()


def _same_bits(folder: Path, tensors: Tensors, one: int, other: int) -> bool:
    def read(name: str) -> Tensor:
        with safe_open(folder / tensors[name].file, framework="pt") as weights:
            tensor: Tensor = _as_numbers(weights.get_tensor(name))
            return tensor

    names = [name for name in tensors if (match := LAYER.match(name)) and int(match[1]) == one]
    return all(torch.equal(read(name), read(LAYER.sub(f"model.layers.{other}.", name))) for name in names)


def value_faults(folder: Path, values: Values, tensors: Tensors) -> Iterator[str]:
    """Faults that no trained model has: a number that is not finite; an embedding, a head or a layer of zeros."""
    if values.broken:
        yield (
            f"{folder}: {len(values.broken)} tensors hold numbers that are not finite (NaN or infinity), the first is "
            f"{values.broken[0]}; copy the checkpoint or make it again"
        )
    whole = [name for name in (EMBEDDING, HEAD) if name in values.zero]
    for what in [*whole, *(f"layer {layer}" for layer in _zero_layers(values.zero, tensors))]:
        yield f"{folder}: {what} is all zero, so it was never written; copy the checkpoint again"


def _zero_layers(zero: Sequence[str], tensors: Tensors) -> list[int]:
    """Layers whose matrices are all zero."""
    inside = {name: int(match[1]) for name in tensors if (match := LAYER.match(name))}
    matrices = {name: layer for name, layer in inside.items() if _is_matrix(name, len(tensors[name].shape))}
    return sorted(set(matrices.values()) - {layer for name, layer in matrices.items() if name not in zero})


def value_notes(values: Values, tensors: Tensors) -> Iterator[str]:
    """Findings that may be intended: zero matrices in some layers (which add nothing), and duplicate layers."""
    whole = _zero_layers(values.zero, tensors)
    named = {name: LAYER.match(name) for name in values.zero}
    some = [name for name, match in named.items() if match is not None and int(match[1]) not in whole]
    if some:
        more = f" and {len(some) - 1} more" if len(some) > 1 else ""
        yield f"all zero: {some[0]}{more}; a layer whose output matrices are zero adds nothing"
    for one, other in values.equal:
        yield f"layers {one} and {other} have identical bits"
