"""Layers against others of their kind, by the names of their tensors."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from data_prep.layer_names import uneven_layers
from data_prep.weight_files import Tensor

DENSE = ("attn.q.weight", "mlp.up.weight")
SPARSE = ("attn.q.weight", "mlp.gate.weight", "mlp.experts.0.up.weight", "mlp.experts.1.up.weight")


def named(*layers: tuple[str, ...]) -> dict[str, Tensor]:
    tensor = Tensor("model.safetensors", (2, 2), "F32")
    return {f"model.layers.{i}.{name}": tensor for i, layer in enumerate(layers) for name in layer}


def lines(*layers: tuple[str, ...], types: list[str] | None = None) -> list[str]:
    return list(uneven_layers(Path("there"), SimpleNamespace(layer_types=types), named(*layers)))


def test_layers_with_experts_and_without_are_two_kinds() -> None:
    assert lines(DENSE, SPARSE, SPARSE, DENSE) == []


def test_the_one_that_lacks_a_tensor_is_named() -> None:
    (line,) = lines(SPARSE, SPARSE, SPARSE[:-1])
    assert line.startswith("there: the weights lack model.layers.2.mlp.experts.1.up.weight, which other layers")


def test_several_are_counted() -> None:
    assert "lack model.layers.1.attn.q.weight and 1 more" in lines(SPARSE, SPARSE[2:], SPARSE)[0]


@pytest.mark.parametrize(("types", "count"), [(["linear", "full", "linear"], 0), (["full"] * 3, 1)])
def test_layers_of_another_type_are_another_kind(types: list[str], count: int) -> None:
    assert len(lines(DENSE, ("attn.k.weight", *DENSE[1:]), DENSE, types=types)) == count
