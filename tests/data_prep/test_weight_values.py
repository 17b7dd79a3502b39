"""Weights that were never written, and layers that stand there twice."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from data_prep.weight_files import read_tensors
from data_prep.weight_values import Values, read_values, value_faults, value_notes
from tests.prune.models import build

DOWN = "model.layers.{}.mlp.down_proj.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    build("llama").save_pretrained(tmp_path)
    return tmp_path


def change(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    held = load_file(folder / "model.safetensors")
    save_file({**held, **tensors}, folder / "model.safetensors", metadata={"format": "pt"})


def layer(folder: Path, index: int) -> dict[str, torch.Tensor]:
    return {name: t for name, t in load_file(folder / "model.safetensors").items() if f"layers.{index}." in name}


def test_random_weights_have_nothing(folder: Path) -> None:
    assert read_values(folder) == Values((), (), ())


def test_a_matrix_of_zeros_is_found_and_a_note(folder: Path) -> None:
    change(folder, {DOWN.format(2): torch.zeros(16, 24)})
    values, tensors = read_values(folder), read_tensors(folder)
    assert values.zero == (DOWN.format(2),)
    assert (list(value_faults(folder, values, tensors)), len(list(value_notes(values, tensors)))) == ([], 1)


def test_a_layer_whose_norms_alone_are_not_zero_is_a_fault(folder: Path) -> None:
    change(folder, {name: torch.zeros_like(t) for name, t in layer(folder, 2).items() if t.dim() > 1})
    values, tensors = read_values(folder), read_tensors(folder)
    assert ["layer 2 is all zero" in line for line in value_faults(folder, values, tensors)] == [True]
    assert list(value_notes(values, tensors)) == []


def test_biases_of_experts_are_no_matrices(folder: Path) -> None:
    change(folder, {"model.layers.2.mlp.experts.down_proj_bias": torch.zeros(4, 16)})
    assert read_values(folder).zero == ()


def test_layers_of_the_same_bits_are_found(folder: Path) -> None:
    change(folder, {name.replace(".1.", ".4."): t.clone() for name, t in layer(folder, 1).items()})
    assert read_values(folder).equal == ((1, 4),)


def test_one_number_beside_the_samples_makes_them_unequal(folder: Path) -> None:
    copied = {name.replace(".1.", ".4."): t.clone() for name, t in layer(folder, 1).items()}
    copied[DOWN.format(4)].view(-1)[1] += 1  # of 384 numbers every 6th is kept from the pass
    change(folder, copied)
    assert read_values(folder).equal == ()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.int8])
def test_every_dtype_can_be_looked_at(dtype: torch.dtype, folder: Path) -> None:
    change(folder, {DOWN.format(n): torch.zeros(16, 24, dtype=dtype) for n in (1, 3)})
    assert read_values(folder).zero == (DOWN.format(1), DOWN.format(3))
