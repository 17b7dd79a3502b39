"""Folding: the weight against the map put in by a hook, and the layers into which none folds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    Glm4Config,
    GraniteConfig,
    LlamaConfig,
    Olmo2Config,
    PhiConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen3Config,
    Qwen3MoeConfig,
)

from prune.folding import faults_by_config, fold, gain_to_stream, projection_of
from recipes.errors import UserError
from tests.prune.models import FAMILIES, SHAPE, TOKENS, build

POST_NORM = ("gemma2", "gemma3")
EXPERTS = Qwen3MoeConfig(**SHAPE, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=8, mlp_only_layers=[0])


def made(config: PreTrainedConfig) -> PreTrainedModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    return model.eval()


def random_map() -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(16, 16, generator=generator, dtype=torch.float64) / 4


def logits(model: PreTrainedModel) -> Tensor:
    with torch.no_grad():
        found: Tensor = model(input_ids=TOKENS).logits
    return found


def gain(model: PreTrainedModel, layer: int = 1) -> float:
    found = model.model.layers[layer]
    with torch.no_grad():
        return gain_to_stream(found, projection_of(found, "x"), lambda: model(input_ids=TOKENS, use_cache=False), "x")


@pytest.mark.parametrize(
    "config",
    [Qwen3Config(**SHAPE), LlamaConfig(**SHAPE, mlp_bias=True), PhiConfig(**SHAPE)],
    ids=["qwen3", "llama with a bias", "phi"],
)
def test_a_folded_map_is_the_map_put_in_by_a_hook(config: PreTrainedConfig) -> None:
    hooked, folded = made(config), made(config)
    projections = [projection_of(model.model.layers[3], "x") for model in (hooked, folded)]
    for projection in projections:
        if projection.bias is not None:
            torch.nn.init.constant_(projection.bias, 0.5)
    before = logits(folded)
    hook = projections[0].register_forward_hook(lambda _module, _arguments, output: output @ random_map().float())
    fold(projections[1], random_map())
    assert torch.allclose(logits(hooked), logits(folded), atol=1e-5)
    hook.remove()
    assert torch.equal(logits(hooked), before)
    assert not torch.allclose(before, logits(folded), atol=1e-2)


def test_a_folded_weight_keeps_its_dtype() -> None:
    projection = torch.nn.Linear(4, 16, dtype=torch.bfloat16)
    fold(projection, random_map())
    assert (projection.weight.dtype, projection.bias.dtype) == (torch.bfloat16, torch.bfloat16)


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in POST_NORM])
def test_what_the_mlp_gives_reaches_the_stream_as_it_is(family: str) -> None:
    assert gain(build(family)) == 1.0


def test_parallel_attention_does_not_matter() -> None:
    assert gain(made(PhiConfig(**SHAPE))) == 1.0


def test_rounding_in_bfloat16_is_not_taken_for_a_norm() -> None:
    assert gain(build("qwen3").bfloat16()) == pytest.approx(1.0, abs=2e-3)


def test_a_residual_multiplier_is_found() -> None:
    assert gain(made(GraniteConfig(**SHAPE, residual_multiplier=0.22))) == pytest.approx(0.22, rel=1e-5)


def test_the_model_is_left_as_it_was() -> None:
    model = build("qwen3")
    before = logits(model)
    gain(model)
    assert torch.equal(logits(model), before)


@pytest.mark.parametrize("family", POST_NORM)
def test_a_norm_after_the_mlp_is_found_by_what_it_does(family: str) -> None:
    model = build(family)
    layer = model.model.layers[1]
    with torch.no_grad(), pytest.raises(UserError, match="does not reach the residual stream unchanged"):
        gain_to_stream(layer, layer.mlp.down_proj, lambda: model(input_ids=TOKENS, use_cache=False), family)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (build("gemma2").config, "'gemma2': post_feedforward_layernorm is between"),
        (build("gemma3").config, "'gemma3_text': post_feedforward_layernorm is between"),
        (Olmo2Config(**SHAPE), "'olmo2': post_feedforward_layernorm is between"),
        (Glm4Config(**SHAPE), "'glm4': post_mlp_layernorm is between"),
        (EXPERTS, "'qwen3_moe': its MLP is a mixture of experts"),
    ],
    ids=["gemma2", "gemma3", "olmo2", "glm4", "experts"],
)
def test_layers_into_which_no_map_folds_are_refused_by_name(config: PreTrainedConfig, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        projection_of(made(config).model.layers[1], config.model_type)


def test_faults_are_told_from_the_config_layer_by_layer() -> None:
    faults = faults_by_config(EXPERTS, trust_remote_code=False)
    assert [fault is None for fault in faults] == [True, False, False, False, False, False]


def test_a_layer_without_a_known_projection_is_refused() -> None:
    with pytest.raises(UserError, match=r"no linear projection at mlp\.down_proj"):
        projection_of(torch.nn.Sequential(torch.nn.Linear(2, 2)), "other")
