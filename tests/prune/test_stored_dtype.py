"""A pruned model has the dtypes, and the bits, of the model that it was cut from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig

from data_prep.prepared.prepare import Prepared
from prune.make import make_pruned
from prune.stored_dtype import commonest, dtype_to_cut_in, dtypes_of
from recipes.prune import LayersPrune
from recipes.schema import ModelSection

NORM = "model.layers.3.input_layernorm.weight"


def nothing() -> Prepared:
    pytest.fail("traces were prepared")


@pytest.fixture
def half(unpruned: Path, tmp_path: Path) -> Path:
    """The model in bfloat16, but for one norm."""
    shutil.copytree(unpruned, tmp_path / "half")
    file = tmp_path / "half" / "model.safetensors"
    weights = {name: tensor if name == NORM else tensor.to(torch.bfloat16) for name, tensor in load_file(file).items()}
    weights[NORM] += 1e-4  # which bfloat16 would round away
    save_file(weights, file, {"format": "pt"})
    return tmp_path / "half"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_weight_that_is_left_has_its_bits_and_its_dtype(
    dtype: Literal["float32", "bfloat16"], half: Path, tmp_path: Path
) -> None:
    model = ModelSection(unpruned=str(half), dtype=dtype)
    make_pruned(LayersPrune(method="layers", remove=[0]), model, nothing, tmp_path / "p")
    before, after = load_file(half / "model.safetensors"), load_file(tmp_path / "p" / "model.safetensors")
    moved = NORM.replace(".3.", ".2.")
    assert [name for name, tensor in after.items() if tensor.dtype == torch.float32] == [moved]
    assert torch.equal(after[moved], before[NORM])
    assert torch.equal(after["model.layers.0.mlp.up_proj.weight"], before["model.layers.1.mlp.up_proj.weight"])
    assert json.loads((tmp_path / "p/config.json").read_text())["dtype"] == "bfloat16"


def test_float32_is_not_rounded_by_a_recipe_in_bfloat16(unpruned: Path, tmp_path: Path) -> None:
    model = ModelSection(unpruned=str(unpruned), dtype="bfloat16")
    make_pruned(LayersPrune(method="layers", remove=[0]), model, nothing, tmp_path / "p")
    before, after = load_file(unpruned / "model.safetensors"), load_file(tmp_path / "p" / "model.safetensors")
    assert torch.equal(after["model.embed_tokens.weight"], before["model.embed_tokens.weight"])


@pytest.mark.parametrize(
    ("stored", "asked", "cut_in"),
    [
        (torch.bfloat16, "bfloat16", "bfloat16"),
        (torch.bfloat16, "float32", "float32"),
        (torch.float16, "bfloat16", "float32"),
        (torch.float32, "bfloat16", "float32"),
    ],
)
def test_a_cut_is_made_in_a_dtype_that_loses_nothing(stored: torch.dtype, asked: str, cut_in: str) -> None:
    assert dtype_to_cut_in({"a": stored}, asked) == cut_in


def test_what_is_not_known_leaves_the_recipes_dtype() -> None:
    assert dtype_to_cut_in({}, "bfloat16") == "bfloat16"


def test_the_commonest_dtype_is_that_of_most_tensors() -> None:
    assert commonest({"a": torch.float32, "b": torch.bfloat16, "c": torch.bfloat16}) == torch.bfloat16


@pytest.mark.parametrize(("said", "stored"), [(torch.float16, {"": torch.float16}), (None, {})])
def test_of_weights_that_are_not_here_the_config_says_it(
    said: torch.dtype | None, stored: dict[str, torch.dtype]
) -> None:
    assert dtypes_of("nobody/has-this-model", LlamaConfig(dtype=said)) == stored
