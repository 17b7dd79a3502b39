"""An adapter on its own model passes; on any other it is refused by what does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel

from eval.adapters import check_fits
from recipes.errors import UserError


def llama(layers: int = 3, hidden: int = 16) -> PreTrainedModel:
    config = LlamaConfig(
        vocab_size=32,
        hidden_size=hidden,
        intermediate_size=24,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    return model


def saved(model: PreTrainedModel, folder: Path) -> str:
    model.save_pretrained(folder)
    return str(folder)


def adapter(folder: Path, **options: Any) -> Path:
    get_peft_model(llama(), LoraConfig(**{"target_modules": ["q_proj", "down_proj"], **options})).save_pretrained(
        folder
    )
    return folder


@pytest.mark.parametrize("options", [{}, {"use_dora": True}, {"target_modules": "all-linear"}])
def test_an_adapter_fits_its_own_model(options: dict[str, Any], tmp_path: Path) -> None:
    assert check_fits(adapter(tmp_path / "a", **options), saved(llama(), tmp_path / "m")) is None


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (llama(layers=4), "it has mlp.down_proj in 3 layers, but .* has that in 4; layer 3 has no adapter"),
        (llama(layers=2), r"it has model\.layers\.2\.\S+, which .* does not have"),
        (llama(hidden=32), r"\S+ is made for a width of 16, but \S+ of .* has 32"),
    ],
    ids=["deeper", "shallower", "wider"],
)
def test_on_another_model_it_is_refused(model: PreTrainedModel, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"was made for another model: {words}"):
        check_fits(adapter(tmp_path / "a"), saved(model, tmp_path / "m"))


def test_an_adapter_of_some_layers_says_so(tmp_path: Path) -> None:
    some = adapter(tmp_path / "a", layers_to_transform=[0, 2])
    assert json.loads((some / "adapter_config.json").read_text())["layers_to_transform"] == [0, 2]
    assert check_fits(some, saved(llama(), tmp_path / "m")) is None


def test_a_model_that_is_not_here_is_not_checked(tmp_path: Path) -> None:
    assert check_fits(adapter(tmp_path / "a"), "nobody/nothing") is None
