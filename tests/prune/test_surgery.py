"""Carrying a plan out: a cut model is the unpruned one with layers skipped, in memory, with a cache and reloaded."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    DynamicCache,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
)

from data_prep.nano_world import build_tokenizer
from prune.inspect import check_folder
from prune.plan import PrunePlan, load
from prune.surgery import apply_plan, load_existing, save_pruned
from recipes.errors import UserError
from tests.prune.models import FAMILIES, LAYERS, TOKENS, build

REMOVALS = [(0,), (1, 4), (LAYERS - 1,), (0, 2, 3)]


def plan(*removed: int, layers: int = LAYERS) -> PrunePlan:
    return PrunePlan(method="layers", layers=layers, removed=removed)


def logits_with_skipped(model: PreTrainedModel, skipped: tuple[int, ...]) -> torch.Tensor:
    """An independent road to the pruned model's logits: skipped layers run, but return what they were given."""

    def bypass(_module: torch.nn.Module, arguments: tuple[Any, ...], named: dict[str, Any], _output: object) -> Any:
        return arguments[0] if arguments else named["hidden_states"]

    hooks = [model.model.layers[i].register_forward_hook(bypass, with_kwargs=True) for i in skipped]
    result = logits(model)
    for hook in hooks:
        hook.remove()
    return result


def logits(model: PreTrainedModel) -> torch.Tensor:
    with torch.no_grad():
        return model(TOKENS, use_cache=False).logits


@pytest.mark.parametrize("removed", REMOVALS)
@pytest.mark.parametrize("family", FAMILIES)
def test_cut_model_equals_unpruned_model_with_layers_skipped(family: str, removed: tuple[int, ...]) -> None:
    model = build(family)
    expected = logits_with_skipped(model, removed)
    assert torch.equal(logits(apply_plan(model, plan(*removed))), expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_removing_a_layer_changes_the_logits(family: str) -> None:
    model = build(family)
    before = logits(model)
    assert not torch.allclose(logits(apply_plan(model, plan(1))), before, atol=1e-3)


@pytest.mark.parametrize("cache", ["own", "from the config"])
@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_tokens_are_the_same_with_and_without_a_cache(family: str, cache: str) -> None:
    model = apply_plan(build(family), plan(0, 3))
    greedy = GenerationConfig(max_new_tokens=12, do_sample=False, pad_token_id=0)
    caches = {"past_key_values": DynamicCache(config=model.config)} if cache == "from the config" else {}
    cached = model.generate(TOKENS[:1], generation_config=greedy, **caches)
    no_cache = GenerationConfig(max_new_tokens=12, do_sample=False, pad_token_id=0, use_cache=False)
    assert cached.tolist() == model.generate(TOKENS[:1], generation_config=no_cache).tolist()


@pytest.mark.parametrize("family", FAMILIES)
def test_reloaded_model_gives_the_same_logits(family: str, tmp_path: Path) -> None:
    model = apply_plan(build(family), plan(0, 3))
    save_pruned(model, build_tokenizer(), plan(0, 3), tmp_path / "pruned")
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(tmp_path / "pruned")), logits(model))


def test_the_sliding_windows_that_stay_are_those_of_the_kept_layers() -> None:
    model = apply_plan(build("qwen2_mixed"), plan(0))
    assert model.config.layer_types == [
        "sliding_attention",
        "full_attention",
        "sliding_attention",
        "full_attention",
        "sliding_attention",
    ]


def test_a_cut_that_removes_every_sliding_layer_runs() -> None:
    model = build("qwen2_mixed")
    expected = logits_with_skipped(model, (1, 3, 5))
    assert torch.equal(logits(apply_plan(model, plan(1, 3, 5))), expected)


def test_plan_for_another_number_of_layers_is_refused() -> None:
    with pytest.raises(UserError, match="for a model of 9 layers, but this one has 6"):
        apply_plan(build("llama"), plan(0, layers=9))


def test_refused_model_is_left_as_it_was() -> None:
    model = build("llama")
    model.config.rope_factor_by_layer = [1.0] * LAYERS
    with pytest.raises(UserError):
        apply_plan(model, plan(0))
    assert len(model.model.layers) == model.config.num_hidden_layers == LAYERS


class ScaledByDepth(LlamaForCausalLM):
    """A model whose layers carry a value made from their place, which no config key tells."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__(config)
        for index, layer in enumerate(self.model.layers):
            layer.self_attn.depth_scale = 1.0 / (index + 1)


def test_layers_that_differ_by_their_place_are_refused() -> None:
    model = ScaledByDepth(build("llama").config)
    with pytest.raises(UserError, match="depth_scale"):
        apply_plan(model, plan(0))


def test_generation_config_with_a_temperature_but_no_sampling_can_be_saved(tmp_path: Path) -> None:
    model = build("llama")
    model.generation_config = GenerationConfig(temperature=0.6, top_p=0.9)
    save_pruned(apply_plan(model, plan(0)), build_tokenizer(), plan(0), tmp_path / "pruned")
    assert GenerationConfig.from_pretrained(tmp_path / "pruned").do_sample is True


def test_model_with_a_broken_generation_config_is_refused_and_left_as_it_was() -> None:
    model = build("llama")
    model.generation_config.max_new_tokens = -1
    with pytest.raises(UserError, match="max_new_tokens"):
        apply_plan(model, plan(0))
    assert len(model.model.layers) == model.config.num_hidden_layers == LAYERS


@pytest.mark.parametrize("family", ["llama", "gemma"])
def test_merged_model_is_reloaded_with_its_weights_and_its_plan(family: str, tmp_path: Path) -> None:
    merge = PrunePlan(method="laco", layers=LAYERS, removed=(2, 3), merged=((1, 2, 3),))
    model = apply_plan(build(family), merge)
    save_pruned(model, build_tokenizer(), merge, tmp_path / "pruned")
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(tmp_path / "pruned")), logits(model))
    assert check_folder(tmp_path / "pruned").plan == merge


def test_layers_that_do_not_match_are_not_merged_and_the_model_is_left_as_it_was() -> None:
    model = build("llama")
    model.model.layers[2].mlp.up_proj.bias = torch.nn.Parameter(torch.zeros(24))
    with pytest.raises(UserError, match="layer 2 cannot be merged into layer 1"):
        apply_plan(model, PrunePlan(method="laco", layers=LAYERS, removed=(2,), merged=((1, 2),)))
    assert len(model.model.layers) == LAYERS


@pytest.mark.parametrize("family", ["llama", "gemma"])
def test_config_says_tied_just_where_the_head_is_the_embedding(family: str, tmp_path: Path) -> None:
    model = apply_plan(build(family), plan(0))
    save_pruned(model, build_tokenizer(), plan(0), tmp_path / "pruned")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "pruned")
    assert (again.lm_head.weight is again.model.embed_tokens.weight) == (family == "gemma")


def test_saved_folder_holds_its_plan(tmp_path: Path) -> None:
    save_pruned(apply_plan(build("llama"), plan(2)), build_tokenizer(), plan(2), tmp_path / "pruned")
    assert load_existing(tmp_path / "pruned") == load(tmp_path / "pruned") == plan(2)


def test_folder_that_holds_something_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        save_pruned(apply_plan(build("llama"), plan(2)), build_tokenizer(), plan(2), tmp_path)


def test_failed_save_leaves_nothing_behind(tmp_path: Path) -> None:
    model = apply_plan(build("llama"), plan(2))
    model.config.num_hidden_layers = LAYERS
    with pytest.raises(UserError, match="num_hidden_layers"):
        save_pruned(model, build_tokenizer(), plan(2), tmp_path / "pruned")
    assert list(tmp_path.iterdir()) == []


def test_unpruned_config_object_of_another_model_is_not_touched() -> None:
    model = build("llama")
    other = copy.deepcopy(model.config)
    apply_plan(model, plan(2))
    assert other.num_hidden_layers == LAYERS


def test_head_that_was_cut_loose_from_the_embedding_is_kept(tmp_path: Path) -> None:
    model = apply_plan(build("gemma"), plan(0))
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach() * 2)
    save_pruned(model, build_tokenizer(), plan(0), tmp_path / "pruned")
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(tmp_path / "pruned")), logits(model))
