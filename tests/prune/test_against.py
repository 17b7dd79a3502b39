"""The pruned model against the unpruned one: which one is meant, and what may differ; each fault by its kind is in
scenarios/test_odd_folders.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from prune.against import config_differences, differences, template_differences, unpruned_of, wanted_values
from prune.plan import FILE_NAME
from recipes.errors import UserError
from tests.prune.odd_folders import config, gone, in_json, make_pair, of_tokenizer, text, value

EMBEDDING = "model.embed_tokens.weight"


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return make_pair("llama", tmp_path)


def test_the_plan_names_the_unpruned_model(pair: tuple[Path, Path]) -> None:
    folder, unpruned = pair
    assert unpruned_of(folder) == unpruned


def test_an_unpruned_model_that_was_changed_since_is_not_the_plans(pair: tuple[Path, Path]) -> None:
    folder, unpruned = pair
    value(EMBEDDING, 7.0)(unpruned)
    assert unpruned_of(folder) is None


def test_without_a_plan_there_is_none(pair: tuple[Path, Path]) -> None:
    folder, _ = pair
    gone(FILE_NAME)(folder)
    assert unpruned_of(folder) is None


def test_a_name_that_is_not_here_is_refused(pair: tuple[Path, Path]) -> None:
    with pytest.raises(UserError, match="against=nobody/nothing: no such model on this machine"):
        unpruned_of(pair[0], "nobody/nothing")


@pytest.mark.parametrize(
    "changes",
    [{"use_cache": False}, {"dtype": "bfloat16"}, {"max_position_embeddings": 128}, {"pad_token_id": 3}],
    ids=lambda changes: next(iter(changes)),
)
def test_what_is_not_of_the_layers_may_differ(changes: dict[str, object], pair: tuple[Path, Path]) -> None:
    folder, unpruned = pair
    config(**changes)(folder)
    assert differences(folder, unpruned) == []


def test_more_tokens_than_the_unpruned_model_has_may_be_there(pair: tuple[Path, Path]) -> None:
    folder, unpruned = pair
    of_tokenizer(lambda tokenizer: tokenizer.add_tokens(["<more>"]) and None)(folder)
    assert differences(folder, unpruned) == []


@pytest.mark.parametrize("stops", [3, [3], [5, 3]])
def test_fewer_stop_tokens_may_be_there(stops: object, pair: tuple[Path, Path]) -> None:
    folder, unpruned = pair
    in_json("generation_config.json", eos_token_id=[3, 5])(unpruned)
    in_json("generation_config.json", eos_token_id=stops)(folder)
    assert differences(folder, unpruned) == []


def test_a_template_of_ones_own_may_be_there(pair: tuple[Path, Path]) -> None:
    folder, unpruned = pair
    text("chat_template.jinja", "{{ messages[0].content }}")(folder)
    assert list(template_differences(folder, unpruned)) == []


def test_the_layers_that_are_left_keep_their_kinds(tmp_path: Path) -> None:
    folder, unpruned = make_pair("qwen2_mixed", tmp_path)
    wrong = ["full_attention"] * 4
    right = ["sliding_attention", "full_attention", "full_attention", "sliding_attention"]  # of 1, 2, 4 and 5
    config(layer_types=wrong)(folder)
    assert wanted_values(folder, unpruned)["layer_types"] == (wrong, right)


def test_without_a_plan_any_part_of_the_layers_may_be_left(tmp_path: Path) -> None:
    folder, unpruned = make_pair("qwen2_mixed", tmp_path)
    gone(FILE_NAME)(folder)
    config(layer_types=["full_attention"] * 2 + ["sliding_attention", "full_attention"])(folder)
    assert list(config_differences(folder, unpruned)) == []


def test_without_a_plan_indices_of_layers_are_not_compared(tmp_path: Path) -> None:
    """Whoever cut the model has given the layers without experts their new places."""
    folder, unpruned = make_pair("qwen3_moe", tmp_path)
    gone(FILE_NAME)(folder)
    config(mlp_only_layers=[])(folder)
    config(mlp_only_layers=[0, 3])(unpruned)
    assert list(config_differences(folder, unpruned)) == []
    config(mlp_only_layers=[2])(folder)
    assert list(config_differences(folder, unpruned)) == []


def test_a_stop_token_of_the_unpruned_config_may_be_the_only_one(pair: tuple[Path, Path]) -> None:
    folder, unpruned = pair
    config(eos_token_id=5)(unpruned)
    in_json("generation_config.json", eos_token_id=5)(folder)
    assert differences(folder, unpruned) == []
