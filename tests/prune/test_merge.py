"""Merged weights against values worked out by hand (all parameters of layer i are CONSTANTS[i]) and by the equation."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from prune.merge import check_mixes, merge_layers
from prune.plan import PrunePlan
from prune.surgery import apply_plan
from recipes.errors import UserError
from tests.prune.models import SHAPE, TOKENS

CONSTANTS = (0.25, 0.5, -0.125, 1.0, 0.75)
MODELS = {
    "tied llama": (LlamaForCausalLM, LlamaConfig, True),
    "untied llama": (LlamaForCausalLM, LlamaConfig, False),
    "tied qwen3": (Qwen3ForCausalLM, Qwen3Config, True),
    "untied qwen3": (Qwen3ForCausalLM, Qwen3Config, False),
}


def random_model(name: str, layers: int) -> PreTrainedModel:
    model_type, config_type, tied = MODELS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: PreTrainedModel = model_type(
            config_type(**{**SHAPE, "num_hidden_layers": layers, "tie_word_embeddings": tied})
        )
    return model.eval()


def constant_model(name: str) -> PreTrainedModel:
    model = random_model(name, len(CONSTANTS))
    with torch.no_grad():
        for layer, constant in zip(model.model.layers, CONSTANTS, strict=True):
            for parameter in layer.parameters():
                parameter.fill_(constant)
    return model


def names_in_a_layer(model: PreTrainedModel) -> list[str]:
    return list(model.model.layers[0].state_dict())


def merge(*merged: tuple[int, ...], removed: tuple[int, ...]) -> PrunePlan:
    return PrunePlan(method="laco", layers=len(CONSTANTS), removed=removed, merged=merged)


def constants_of(layer: nn.Module) -> set[float]:
    """The values in all parameters of a layer."""
    return {float(value) for parameter in layer.parameters() for value in parameter.detach().unique()}


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        # 0.5 + (-0.125 - 0.5) + (1 - 0.5) = 0.375
        (merge((1, 2, 3), removed=(2, 3)), [0.25, 0.375, 0.75]),
        # 0.5 + (1 - 0.5) = 1; layer 2 goes and leaves nothing behind
        (merge((1, 3), removed=(2, 3)), [0.25, 1.0, 0.75]),
        # two groups: 0.25 + (0.5 - 0.25) + (-0.125 - 0.25) = 0.125, and 1 + (0.75 - 1) = 0.75
        (merge((0, 1, 2), (3, 4), removed=(1, 2, 4)), [0.125, 0.75]),
        # one after the other: 2' = -0.125 + (1 + 0.125) + (0.75 + 0.125) = 1.875; 1' = 0.5 + (1.875 - 0.5) = 1.875
        (merge((2, 3, 4), (1, 2), removed=(2, 3, 4)), [0.25, 1.875]),
    ],
    ids=["one group", "with a removed layer between", "two groups", "a merged layer merged again"],
)
@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_is_the_sum_worked_out_by_hand(name: str, plan: PrunePlan, expected: list[float]) -> None:
    model = apply_plan(constant_model(name), plan)
    assert [constants_of(layer) for layer in model.model.layers] == [{constant} for constant in expected]


@pytest.mark.parametrize("name", MODELS)
def test_merged_model_is_the_one_built_from_the_merged_weights(name: str) -> None:
    """Random weights; the model of three layers that is expected gets its weights by name, from the equation."""
    unpruned, expected = random_model(name, 5), random_model(name, 3)
    weights = {key: tensor.clone() for key, tensor in unpruned.state_dict().items()}
    layers = [
        {key: weights[f"model.layers.{i}.{key}"].double() for key in names_in_a_layer(unpruned)} for i in range(5)
    ]
    merged = {key: a + (layers[2][key] - a) + (layers[3][key] - a) for key, a in layers[1].items()}
    for place, layer in enumerate((layers[0], merged, layers[4])):
        expected.model.layers[place].load_state_dict({key: tensor.float() for key, tensor in layer.items()})
    outside = {key: tensor for key, tensor in weights.items() if ".layers." not in key}
    expected.load_state_dict({**expected.state_dict(), **outside})
    with torch.no_grad():
        logits = apply_plan(unpruned, merge((1, 2, 3), removed=(2, 3)))(TOKENS).logits
        torch.testing.assert_close(logits, expected(TOKENS).logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_embedding_and_head_are_as_tied_as_before(name: str) -> None:
    model, untouched = constant_model(name), constant_model(name)
    apply_plan(model, merge((1, 2, 3), removed=(2, 3)))
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == MODELS[name][2]
    assert torch.equal(model.lm_head.weight, untouched.lm_head.weight)


def test_sums_in_bfloat16_are_rounded_once() -> None:
    """1 + 256 + 1 = 258 is a bfloat16 number; 256 + 1 is not, and step by step it would be rounded away: 256."""
    layers = nn.ModuleList(nn.Linear(1, 1, bias=False, dtype=torch.bfloat16) for _ in range(3))
    with torch.no_grad():
        for layer, value in zip(layers, (-1.0, 256.0, 1.0), strict=True):
            layer.weight.fill_(value)
    merge_layers(layers, {0: {0: -1, 1: 1, 2: 1}})
    assert (layers[0].weight.item(), layers[0].weight.dtype) == (258.0, torch.bfloat16)


def test_layers_of_different_shapes_are_refused() -> None:
    with pytest.raises(UserError, match="layer 1 cannot be merged into layer 0"):
        check_mixes(nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 3)]), {0: {1: 1}})
