"""Weights that are not finite and vocabularies that are too small are named; the kinds of folders that contradict
themselves are tried in tests/prune/test_inspect.py."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from data_prep.nano_world import build_tokenizer
from data_prep.soundness import check_model, check_values, check_weights, text_faults
from recipes.errors import UserError
from tests.prune.models import LAYERS, build


def saved(folder: Path) -> Path:
    build("llama").save_pretrained(folder)
    return folder


def spoil(folder: Path, name: str, value: float, dtype: torch.dtype = torch.float32) -> None:
    tensors = {key: tensor.to(dtype) for key, tensor in load_file(folder / "model.safetensors").items()}
    tensors[name].view(-1)[3] = value
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_the_facts_are_those_of_the_model(tmp_path: Path) -> None:
    facts = check_weights(saved(tmp_path))
    assert (facts.family, facts.layers, facts.dtypes, facts.files) == ("llama", LAYERS, ("F32",), 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float8_e4m3fn])
def test_a_weight_that_is_not_finite_is_named(dtype: torch.dtype, tmp_path: Path) -> None:
    spoil(saved(tmp_path), "model.norm.weight", math.nan, dtype)
    with pytest.raises(UserError, match=r"1 tensors hold numbers that are not finite .* first is model\.norm\.weight"):
        check_values(tmp_path)


def test_infinity_is_not_finite(tmp_path: Path) -> None:
    spoil(saved(tmp_path), "model.norm.weight", -math.inf)
    with pytest.raises(UserError, match="not finite"):
        check_values(tmp_path)


def test_finite_weights_pass(tmp_path: Path) -> None:
    assert check_values(saved(tmp_path)) is None


def test_a_token_without_a_row_is_named(tmp_path: Path) -> None:
    tokenizer = build_tokenizer()
    saved(tmp_path)
    rows = build("llama").config.vocab_size
    tokenizer.add_tokens([f"<{i}>" for i in range(rows)])
    with pytest.raises(UserError, match=rf"has {rows} rows, but \d+ tokens of the tokenizer are beyond them"):
        check_model(str(tmp_path), tokenizer)


def test_the_tokenizer_that_is_used_is_the_one_that_counts(tmp_path: Path) -> None:
    """A pruned folder may hold another one: a run takes the unpruned model's."""
    used, own = build_tokenizer(), build_tokenizer()
    own.add_tokens(["<more>"])
    model = build("llama")
    model.resize_token_embeddings(len(used), mean_resizing=False)
    for part in (model, own):
        part.save_pretrained(tmp_path)
    assert [len(text_faults(tmp_path, tokenizer)) for tokenizer in (None, used)] == [1, 0]


def test_faults_of_weights_and_texts_are_told_at_once(tmp_path: Path) -> None:
    spoil(saved(tmp_path), "model.norm.weight", math.nan)
    build_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"not finite[^\n]*\n[^\n]*the vocabulary has") as refusal:
        check_model(str(tmp_path))
    assert len(str(refusal.value).splitlines()) == 2


def test_weights_that_change_are_looked_at_again(tmp_path: Path) -> None:
    check_model(str(saved(tmp_path)))
    spoil(tmp_path, "model.norm.weight", math.nan)
    with pytest.raises(UserError, match="not finite"):
        check_model(str(tmp_path))


def test_a_model_that_is_not_here_is_not_checked() -> None:
    assert check_model("nobody/nothing") is None
