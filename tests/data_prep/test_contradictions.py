"""What a folder is called that is no plain checkpoint; tests/prune/test_inspect.py has each contradiction by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from data_prep.soundness import check_weights
from recipes.errors import UserError
from tests.prune.models import LAYERS, build

Weights = dict[str, torch.Tensor]
UP = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    build("llama").save_pretrained(tmp_path)
    return tmp_path


def write_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def change_weights(folder: Path, change: Callable[[Weights], Weights]) -> None:
    tensors = change(load_file(folder / "model.safetensors"))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")


def told(folder: Path) -> list[str]:
    with pytest.raises(UserError) as caught:
        check_weights(folder)
    return str(caught.value).splitlines()


def test_all_faults_are_told_at_once_and_none_is_made_up(folder: Path) -> None:
    write_config(folder, num_hidden_layers=LAYERS + 1, tie_word_embeddings=True)
    change_weights(folder, lambda t: {name: tensor for name, tensor in t.items() if name != UP})
    lines = told(folder)
    assert len(lines) == 3
    assert [part in line for part, line in zip(("num_hidden_layers=7", "tie_word", f"lack {UP}"), lines, strict=True)]


def test_several_tensors_of_a_kind_are_counted(folder: Path) -> None:
    change_weights(folder, lambda t: {name: tensor for name, tensor in t.items() if ".up_proj." not in name})
    assert f"lack model.layers.0.mlp.up_proj.weight and {LAYERS - 1} more" in told(folder)[0]


def test_a_number_of_layers_in_quotes_is_text(folder: Path) -> None:
    write_config(folder, num_hidden_layers="6")
    (line,) = told(folder)
    assert "num_hidden_layers='6': must be a whole number; write 6, unquoted" in line


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rope_parameters": {"rope_type": "newest", "rope_theta": 1.0}}, "rope type 'newest'"),
        ({"hidden_size": "large"}, "config.json: "),
        ({"num_attention_heads": 0}, "config.json: "),
        ({"text_config": {}, "model_type": "qwen2_5_vl"}, "multimodal model (qwen2_5_vl)"),
    ],
)
def test_a_config_that_makes_no_model_is_a_line_and_no_traceback(
    changes: dict[str, Any], words: str, folder: Path
) -> None:
    write_config(folder, **changes)
    (line,) = told(folder)
    assert words in line


def prefixed(prefix: str) -> Callable[[Weights], Weights]:
    return lambda t: {prefix + name: tensor for name, tensor in t.items()}


def narrowed(t: Weights) -> Weights:
    return {**t, UP: t[UP][:16]}


def factored(t: Weights) -> Weights:
    matrix = t.pop(UP)
    return {**t, UP.replace("weight", "u"): matrix[:, :4].clone(), UP.replace("weight", "v"): matrix[:4].clone()}


def with_adapter(t: Weights) -> Weights:
    return {**t, UP.replace("weight", "lora_A.weight"): torch.ones(4, 16)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (prefixed("module."), "save the model without the prefix 'module.'"),
        (prefixed("base_model.model."), "an unmerged PEFT adapter"),
        (prefixed("language_"), "the first layer tensor found is language_model.layers.0"),
        (narrowed, r"layers differ in width (mlp.up_proj.weight: [16, 16], [24, 16])"),
        (factored, "the weights hold factors in place of whole matrices"),
        (with_adapter, "the weights hold an unmerged adapter"),
        (lambda t: {**t, UP: t[UP].to(torch.int8)}, "1 tensors are stored in I8"),
    ],
)
def test_weights_of_another_form_are_called_what_they_are(
    change: Callable[[Weights], Weights], words: str, folder: Path
) -> None:
    change_weights(folder, change)
    (line,) = told(folder)
    assert words in line


def test_an_adapter_beside_full_weights_is_refused(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    assert "next to full weights" in told(folder)[0]
