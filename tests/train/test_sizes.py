"""A model without weights has the parameters of the real one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import JambaConfig

from recipes.errors import UserError
from recipes.loader import load
from recipes.schema import Recipe
from tests.train.configs import QWEN3_8B, QWEN3_32B, config_folder
from tests.train.runs import MODEL, weights
from train.sizes import Sizes, skeleton

FULL = "recipe=full_recovery.yaml"
READY = ("model.pruned=data_prep/nano_model", "prune=null")


def sizes_of(*arguments: str) -> Sizes:
    recipe: Recipe = load(arguments)
    return skeleton(recipe.model, recipe.prune, recipe.adapter).sizes


@pytest.mark.parametrize(("config", "parameters"), [(QWEN3_8B, 8_190_735_360), (QWEN3_32B, 32_762_123_264)])
def test_a_config_alone_gives_the_published_number_of_parameters(
    tmp_path: Path, config: dict[str, object], parameters: int
) -> None:
    sizes = sizes_of("recipe=qwen3_8b_full.yaml", config_folder(tmp_path, config))
    hidden, layers = int(str(config["hidden_size"])), int(str(config["num_hidden_layers"]))
    layer = (parameters - 2 * 151_936 * hidden - hidden) // layers  # all but embedding, head and the last norm
    assert (sizes.unpruned, sizes.total) == (parameters, parameters - 2 * layer)


def test_the_embedded_model_has_as_many_parameters_as_its_weights() -> None:
    stored = sum(tensor.numel() for tensor in weights(MODEL).values())  # the head is tied and stored once
    sizes = sizes_of(FULL, *READY)
    assert (sizes.unpruned, sizes.total, sizes.trainable, sizes.tied) == (stored, stored, stored, True)


def test_a_model_that_was_cut_before_is_cut_further(tmp_path: Path) -> None:
    config = json.loads((MODEL / "config.json").read_text())
    config |= {"num_hidden_layers": 5, "layer_types": config["layer_types"][:5]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert sizes_of("recipe=full_recovery.yaml", f"prune.cut_from={tmp_path}").layers == 3


def test_an_adapter_alone_is_trainable() -> None:
    sizes = sizes_of("recipe=lora_recovery.yaml")
    layer = 16 * ((64 + 128) + 2 * (64 + 64) + (128 + 64) + 3 * (64 + 192))  # q, k and v, o, MLP: r (in + out)
    assert (sizes.trainable, sizes.total - sizes.trainable) == (6 * layer, 377_024)


def test_an_adapter_is_counted_by_its_targets() -> None:
    """Each linear of in x out gets r x (in + out)."""
    sizes = sizes_of("recipe=lora_recovery.yaml", *READY, "adapter.r=2", "adapter.targets=[q_proj, v_proj]")
    (q, v) = (weights(MODEL)[f"model.layers.0.self_attn.{name}_proj.weight"].shape for name in "qv")
    assert (sizes.layers, sizes.trainable) == (8, 8 * 2 * (sum(q) + sum(v)))


def test_in_4_bits_are_the_linear_layers_but_the_head() -> None:
    sizes = sizes_of("recipe=lora_recovery.yaml", "adapter.method=qlora", "zero.stage=0")
    layer = 64 * 128 + 2 * 64 * 64 + 128 * 64 + 3 * 64 * 192  # q, k and v, o, MLP: in x out
    assert sizes.quantised == 6 * layer


def test_targets_that_the_model_lacks_are_the_users_mistake() -> None:
    with pytest.raises(UserError, match="adapter.targets: 'nope' names no module"):
        sizes_of("recipe=lora_recovery.yaml", "adapter.targets=[nope]")


def test_targets_that_peft_cannot_adapt_are_the_users_mistake() -> None:
    with pytest.raises(UserError, match="adapter: does not fit this model .*is not supported"):
        sizes_of("recipe=lora_recovery.yaml", "adapter.targets=[input_layernorm]")


def test_a_model_that_is_nowhere_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="no model at 'nowhere/at-all-'"):
        sizes_of(FULL, "model.unpruned=nowhere/at-all-")


def test_a_family_whose_config_cannot_be_cut_is_a_mistake_in_words(tmp_path: Path) -> None:
    """Jamba works the kinds of its layers out from periods, and takes no list of them."""
    shape = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "num_key_value_heads": 1}
    JambaConfig(**shape).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="a model of type 'jamba' cannot be pruned: its config refuses .*layer_types"):
        sizes_of(FULL, f"model.unpruned={tmp_path}", "prune={method: tail, layers: 1}")
