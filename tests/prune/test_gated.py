"""Taking channels out of gated MLPs: the narrowed model is the whole one with these channels switched off."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    BitNetConfig,
    BitNetForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PhiConfig,
    PhiForCausalLM,
    PreTrainedModel,
)

from data_prep.nano_world import build_tokenizer
from prune.channels import Channels
from prune.gated import check_gated, gated_mlps
from prune.inspect import check_folder
from prune.plan import PrunePlan
from prune.surgery import apply_plan, save_pruned
from recipes.errors import UserError
from tests.prune.models import LAYERS, SHAPE, TOKENS, build

UNIFORM = Channels(width=24, kept=tuple(tuple(range(layer, layer + 16)) for layer in range(LAYERS)))
UNEVEN = Channels(width=24, kept=tuple(tuple(range(0, 24, layer + 1)[:16]) for layer in range(LAYERS)))
PLANS = {
    "uniform": PrunePlan(method="width", layers=LAYERS, removed=(), channels=UNIFORM),
    "uneven": PrunePlan(method="width", layers=LAYERS, removed=(), channels=UNEVEN),
}


def with_biases() -> PreTrainedModel:
    model = LlamaForCausalLM(LlamaConfig(**SHAPE, mlp_bias=True)).eval()
    generator = torch.Generator().manual_seed(1)
    for layer in model.model.layers:
        for linear in layer.mlp.children():
            if isinstance(linear, torch.nn.Linear):
                linear.bias.data.normal_(generator=generator)
    return model


MODELS: dict[str, Callable[[], PreTrainedModel]] = {
    **{name: lambda name=name: build(name) for name in ("qwen2_mixed", "qwen3", "llama", "gemma", "gemma3")},
    "llama with biases": with_biases,
}


def logits(model: PreTrainedModel) -> Tensor:
    with torch.no_grad():
        return model(TOKENS, use_cache=False).logits


def switched_off(model: PreTrainedModel, channels: Channels) -> Tensor:
    """An independent road: the whole model, with 0 in the columns of down that read the other channels."""
    for layer, kept in zip(model.model.layers, channels.kept, strict=True):
        others = sorted(set(range(channels.width)) - set(kept))
        layer.mlp.down_proj.weight.data[:, others] = 0
    return logits(model)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("name", MODELS)
def test_narrowed_model_equals_the_whole_one_with_channels_switched_off(name: str, plan: str) -> None:
    """Up to rounding: a product over fewer channels adds them in another order."""
    model, channels = MODELS[name](), PLANS[plan].channels
    assert channels is not None
    expected = switched_off(copy.deepcopy(model), channels)
    narrowed = logits(apply_plan(model, PLANS[plan]))
    assert torch.allclose(narrowed, expected, rtol=0, atol=1e-5 * float(expected.std()))


def test_which_channels_go_matters() -> None:
    first = apply_plan(build("llama"), PLANS["uniform"])
    second = apply_plan(build("llama"), PLANS["uneven"])
    assert not torch.allclose(logits(first), logits(second), atol=1e-2)


@pytest.mark.parametrize("plan", PLANS)
def test_plain_transformers_loads_what_is_saved(plan: str, tmp_path: Path) -> None:
    model = apply_plan(build("qwen3"), PLANS[plan])
    save_pruned(model, build_tokenizer(), PLANS[plan], tmp_path / "p")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "p")
    assert torch.equal(logits(again), logits(model))
    assert (again.config.intermediate_size, check_folder(tmp_path / "p").plan) == (16, PLANS[plan])


def test_a_plan_may_remove_layers_and_narrow_the_others() -> None:
    channels = Channels(24, UNIFORM.kept[1:])
    plan = PrunePlan(method="by hand", layers=LAYERS, removed=(0,), channels=channels)
    cut = apply_plan(build("llama"), PrunePlan(method="by hand", layers=LAYERS, removed=(0,)))
    expected = switched_off(cut, channels)
    assert torch.allclose(logits(apply_plan(build("llama"), plan)), expected, atol=1e-5 * float(expected.std()))


def trained(model: torch.nn.Module) -> None:
    """Some steps of AdamW with weight decay on all that trains."""
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-2, weight_decay=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        model(TOKENS, labels=TOKENS).loss.backward()
        optimizer.step()


@pytest.mark.parametrize("name", ["qwen3", "llama", "gemma"])
def test_training_leaves_padded_channels_at_zero(name: str) -> None:
    model = apply_plan(build(name), PLANS["uneven"])
    before = model.model.layers[5].mlp.up_proj.weight.detach().clone()
    trained(model)
    after = model.model.layers[5].mlp
    padded = slice(len(UNEVEN.kept[5]), None)
    assert not torch.equal(after.up_proj.weight[: len(UNEVEN.kept[5])], before[: len(UNEVEN.kept[5])])
    assert [float(w.detach().abs().max()) for w in (after.gate_proj.weight[padded], after.up_proj.weight[padded])] == [
        0,
        0,
    ]
    assert float(after.down_proj.weight[:, padded].detach().abs().max()) == 0


def test_an_adapter_gives_padded_channels_no_effect() -> None:
    """Its down projection may write into the columns of padded channels, but what it multiplies there stays 0."""
    base = apply_plan(build("llama"), PLANS["uneven"])
    lora = LoraConfig(r=4, target_modules=["gate_proj", "up_proj", "down_proj"])
    model = get_peft_model(base, lora)
    trained(model)
    merged = model.merge_and_unload()
    expected = logits(merged)
    for layer, kept in zip(merged.model.layers, UNEVEN.kept, strict=True):
        assert float(layer.mlp.up_proj.weight[len(kept) :].abs().sum()) == 0
        layer.mlp.down_proj.weight.data[:, len(kept) :] = 0
    assert torch.allclose(logits(merged), expected, atol=1e-5 * float(expected.std()))


SMALL = {key: SHAPE[key] for key in ("vocab_size", "hidden_size", "num_attention_heads", "intermediate_size")}
SMALL |= {"num_hidden_layers": 1, "pad_token_id": 0}
REFUSED: dict[str, tuple[Callable[[], PreTrainedModel], str]] = {
    "mixtral": (lambda: MixtralForCausalLM(MixtralConfig(**SMALL, num_key_value_heads=1)), "layer 0 has experts"),
    "phi3": (lambda: Phi3ForCausalLM(Phi3Config(**SMALL)), r"gate and up in one matrix \(gate_up_proj\)"),
    "bitnet": (
        lambda: BitNetForCausalLM(BitNetConfig(**SMALL, num_key_value_heads=1)),
        r"other modules .*\(ffn_sub_norm\)",
    ),
    "phi": (lambda: PhiForCausalLM(PhiConfig(**SMALL)), "an MLP without a gate"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_mlps_are_refused_by_name_with_and_without_weights(name: str) -> None:
    make, message = REFUSED[name]
    model = make()
    with pytest.raises(UserError, match=f"type '{name}' cannot be narrowed: .*{message}"):
        gated_mlps(model)
    with pytest.raises(UserError, match=message):
        check_gated(model.config)


def test_a_plan_for_another_width_is_refused_and_the_model_left_as_it_was() -> None:
    model = build("llama")
    channels = Channels(width=32, kept=((0, 1),) * LAYERS)
    with pytest.raises(UserError, match="for MLPs of 32 channels, but these have 24"):
        apply_plan(model, PrunePlan(method="width", layers=LAYERS, removed=(), channels=channels))
    assert model.model.layers[0].mlp.up_proj.out_features == model.config.intermediate_size == 24


def test_a_model_whose_width_is_not_that_of_its_config_is_refused() -> None:
    model = build("llama")
    model.config.intermediate_size = 32
    with pytest.raises(UserError, match="layer 0 has 24 channels, but config.json says intermediate_size=32"):
        gated_mlps(model)
