"""A repaired copy is sound, nothing is made up, and the folder itself stays as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from prune.inspect import check_folder, main
from prune.plan import FILE_NAME
from prune.repair import repair
from recipes.errors import UserError
from tests.prune.models import LAYERS, MIXED
from tests.prune.odd_folders import both, config, gone, in_json, in_tokenizer, make_pair, text
from tests.prune.test_inspect import KEPT, PLAN, edit_config, edit_weights, pruned

Pair = tuple[Path, Path]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """A pruned model that a test may spoil, and its unpruned one."""
    return make_pair("llama", tmp_path)


def template_of(folder: Path) -> str:
    return (folder / "chat_template.jinja").read_text()


def config_of(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return values


def test_the_number_of_layers_becomes_that_of_the_weights(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "llama")
    edit_config(folder, num_hidden_layers=LAYERS)
    lines = repair(folder, tmp_path / "out")
    assert lines == [f"config.json: num_hidden_layers={KEPT} (was {LAYERS})"]
    assert (check_folder(tmp_path / "out").weights.layers, config_of(folder)["num_hidden_layers"]) == (KEPT, LAYERS)


def test_a_number_in_quotes_becomes_one(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "llama")
    edit_config(folder, num_hidden_layers=str(KEPT))
    repair(folder, tmp_path / "out")
    assert config_of(tmp_path / "out")["num_hidden_layers"] == KEPT


def test_a_list_of_layers_is_cut_as_the_plan_says(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "qwen2_mixed")
    edit_config(folder, layer_types=MIXED, num_hidden_layers=LAYERS)
    repair(folder, tmp_path / "out")
    assert config_of(tmp_path / "out")["layer_types"] == [MIXED[i] for i in PLAN.kept]


def test_without_a_plan_a_list_of_equals_is_cut(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "qwen3")
    (folder / FILE_NAME).unlink()
    edit_config(folder, layer_types=["full_attention"] * LAYERS)
    repair(folder, tmp_path / "out")
    assert config_of(tmp_path / "out")["layer_types"] == ["full_attention"] * KEPT


def test_without_a_plan_a_list_of_different_kinds_is_not_guessed(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "qwen2_mixed")
    (folder / FILE_NAME).unlink()
    edit_config(folder, layer_types=MIXED)
    with pytest.raises(UserError, match="nothing says which are left"):
        repair(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_tie_that_the_weights_contradict_is_cut(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "llama")
    edit_config(folder, tie_word_embeddings=True)
    repair(folder, tmp_path / "out")
    assert not check_folder(tmp_path / "out").weights.tied


def test_the_dtype_becomes_that_of_most_weights(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "llama")
    edit_config(folder, dtype="bfloat16")
    assert repair(folder, tmp_path / "out") == ['config.json: dtype="float32" (was "bfloat16")']


def test_a_generation_config_becomes_one_that_can_be_saved(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "llama")
    (folder / "generation_config.json").write_text(json.dumps({"temperature": 0.6, "eos_token_id": 3}))
    assert repair(folder, tmp_path / "out") == ["generation_config.json: do_sample=True (was None)"]


def test_a_template_that_raises_becomes_the_unpruned_models(pair: Pair, tmp_path: Path) -> None:
    folder, unpruned = pair
    text("chat_template.jinja", "{{ raise_exception('no users') }}")(folder)
    assert repair(folder, tmp_path / "out", unpruned) == ["chat template: the unpruned model's"]
    assert template_of(tmp_path / "out") == template_of(unpruned)


def test_a_template_that_is_gone_comes_back(pair: Pair, tmp_path: Path) -> None:
    folder, unpruned = pair
    gone("chat_template.jinja")(folder)
    repair(folder, tmp_path / "out", unpruned)
    assert template_of(tmp_path / "out") == template_of(unpruned)


def test_without_the_unpruned_model_a_template_is_not_made_up(pair: Pair, tmp_path: Path) -> None:
    text("chat_template.jinja", "{{ 1 / 0 }}")(pair[0])
    with pytest.raises(UserError, match="division by zero.*\n.*without guessing"):
        repair(pair[0], tmp_path / "out")


def test_a_template_is_not_taken_for_other_token_ids(pair: Pair, tmp_path: Path) -> None:
    folder, unpruned = pair
    both(in_tokenizer(lambda ids: {**ids, "▁fact": ids["▁calc"], "▁calc": ids["▁fact"]}), gone("chat_template.jinja"))(
        folder
    )
    with pytest.raises(UserError, match="2 tokens of the unpruned model have other ids"):
        repair(folder, tmp_path / "out", unpruned)


def test_a_tokenizer_that_is_gone_comes_back(pair: Pair, tmp_path: Path) -> None:
    folder, unpruned = pair
    gone("tokenizer_config.json", "tokenizer.json", "chat_template.jinja")(folder)
    assert repair(folder, tmp_path / "out", unpruned) == ["tokenizer: the unpruned model's (was missing)"]
    assert template_of(tmp_path / "out") == template_of(unpruned)


@pytest.mark.parametrize("stops", [500, [3, 9], "<eos>"])
def test_foreign_stop_tokens_become_the_unpruned_models(stops: object, pair: Pair, tmp_path: Path) -> None:
    folder, unpruned = pair
    in_json("generation_config.json", eos_token_id=stops)(folder)
    lines = repair(folder, tmp_path / "out", unpruned)
    assert lines == [f"generation_config.json: eos_token_id=3 (was {json.dumps(stops)})"]


def test_a_generation_config_that_cannot_be_read_becomes_the_unpruned_models(pair: Pair, tmp_path: Path) -> None:
    folder, unpruned = pair
    text("generation_config.json", "{")(folder)
    assert repair(folder, tmp_path / "out", unpruned) == [
        "generation_config.json: the unpruned model's (could not be read)"
    ]


def test_windows_that_were_lost_come_back(tmp_path: Path) -> None:
    folder, unpruned = make_pair("mistral", tmp_path)
    config(sliding_window=None)(folder)
    assert repair(folder, tmp_path / "out", unpruned) == ["config.json: sliding_window=4 (was null)"]


def test_no_weight_is_touched(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "llama")
    edit_config(folder, num_hidden_layers=LAYERS)
    repair(folder, tmp_path / "out")
    assert (folder / "model.safetensors").read_bytes() == (tmp_path / "out" / "model.safetensors").read_bytes()


def test_a_tensor_is_never_made_up(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "llama")
    edit_weights(folder, lambda t: t.__delitem__("model.layers.2.mlp.up_proj.weight"))
    with pytest.raises(UserError, match="p: the weights lack .*\nno copy was written"):
        repair(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "llama")
    with pytest.raises(UserError, match="fix=.* is not empty"):
        repair(folder, folder)


def test_the_command_says_what_it_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = pruned(tmp_path / "p", "llama")
    edit_config(folder, num_hidden_layers=LAYERS)
    main([str(folder), f"fix={tmp_path / 'out'}"])
    assert capsys.readouterr().out.splitlines() == [
        f"config.json: num_hidden_layers={KEPT} (was {LAYERS})",
        f"written    {tmp_path / 'out'}",
    ]
    assert torch.equal(*(load_file(at / "model.safetensors")["model.norm.weight"] for at in (folder, tmp_path / "out")))
