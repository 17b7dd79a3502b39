"""Which layers ShortGPT removes, and block influence against values from another road: identity layers, turned layers,
and a direct computation."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch.nn.functional import cosine_similarity

from prune.methods.shortgpt import ShortGPT, block_influence, least
from recipes.errors import UserError
from recipes.prune import ShortGPTPrune
from tests.prune.models import FAMILIES, LAYERS, TOKENS, build

INFLUENCE = [0.9, 0.1, 0.3, 0.1, 0.05, 0.8]


def test_least_influence_goes_first() -> None:
    assert least(INFLUENCE, 3) == (1, 3, 4)


def test_of_equal_influence_the_earlier_layer_goes() -> None:
    assert least(INFLUENCE, 2) == (1, 4)


def test_first_and_last_layer_are_eligible() -> None:
    assert least([0.0, 0.5, 0.5, 0.1], 2) == (0, 3)


def test_the_choice_carries_the_influence_that_it_rests_on() -> None:
    section = ShortGPTPrune(method="shortgpt", layers=2, calibration_traces=8)
    choice = ShortGPT(section).choose(build("qwen3"), [batch()])
    assert choice.scores == tuple(block_influence(build("qwen3"), [batch()]))
    assert choice.removed == least(choice.scores, 2)


def batch(tokens: torch.Tensor = TOKENS) -> dict[str, torch.Tensor]:
    return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}


@pytest.mark.parametrize("layer", [0, 2, LAYERS - 1])
def test_layer_that_adds_nothing_has_no_influence(layer: int) -> None:
    model = build("qwen3")
    torch.nn.init.zeros_(model.model.layers[layer].self_attn.o_proj.weight)
    torch.nn.init.zeros_(model.model.layers[layer].mlp.down_proj.weight)
    influence = block_influence(model, [batch()])
    assert influence[layer] == pytest.approx(0, abs=1e-6)
    assert min(value for i, value in enumerate(influence) if i != layer) > 1e-3


class Turn(torch.nn.Module):
    """A layer that turns the first two coordinates by an angle and drops the others."""

    def __init__(self, angle: float) -> None:
        super().__init__()
        self.cos, self.sin = math.cos(angle), math.sin(angle)

    def forward(self, hidden_states: torch.Tensor, **_: object) -> torch.Tensor:
        x, y = hidden_states[..., :1], hidden_states[..., 1:2]
        turned = torch.cat([self.cos * x - self.sin * y, self.sin * x + self.cos * y], dim=-1)
        return torch.nn.functional.pad(turned, (0, hidden_states.shape[-1] - 2))


def test_layers_that_turn_by_a_known_angle_have_its_one_minus_cosine() -> None:
    model, angles = build("llama"), [0.0, 0.3, 0.7, 1.0, math.pi / 2, math.pi]
    model.model.layers = torch.nn.ModuleList(Turn(angle) for angle in angles)
    with torch.no_grad():
        model.model.embed_tokens.weight[:, 2:] = 0
    assert block_influence(model, [batch()]) == pytest.approx([1 - math.cos(angle) for angle in angles], abs=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_influence_equals_a_direct_computation(family: str) -> None:
    model = build(family)
    with torch.no_grad():
        states = list(model(TOKENS, output_hidden_states=True, use_cache=False).hidden_states[:-1])
        last: list[torch.Tensor] = []
        hook = model.model.norm.register_forward_pre_hook(lambda _module, arguments: last.append(arguments[0]))
        model(TOKENS, use_cache=False)
        hook.remove()
    states.append(last[0])
    exact = [state.double() for state in states]
    expected = [float(1 - cosine_similarity(a, b, dim=-1).mean()) for a, b in pairwise(exact)]
    assert block_influence(model, [batch()]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_does_not_count(family: str) -> None:
    model = build(family)
    padded = {name: torch.nn.functional.pad(tensor, (0, 5)) for name, tensor in batch().items()}
    assert block_influence(model, [padded]) == pytest.approx(block_influence(model, [batch()]), abs=1e-5)


def test_every_token_weighs_the_same_whatever_its_batch() -> None:
    model = build("qwen3")
    short = TOKENS[1:, :4]
    apart = [block_influence(model, [batch(TOKENS[:1])]), block_influence(model, [batch(short)])]
    expected = [(11 * a + 4 * b) / 15 for a, b in zip(*apart, strict=True)]
    assert block_influence(model, [batch(TOKENS[:1]), batch(short)]) == pytest.approx(expected, abs=1e-6)


def test_bfloat16_gives_about_the_same() -> None:
    exact = block_influence(build("qwen3"), [batch()])
    assert block_influence(build("qwen3").bfloat16(), [batch()]) == pytest.approx(exact, abs=0.02)


def test_model_is_left_in_training_mode_without_hooks() -> None:
    model = build("qwen3").train()
    block_influence(model, [batch()])
    hooks = [hook for layer in model.model.layers for hook in (*layer._forward_hooks, *layer._forward_pre_hooks)]
    assert (model.training, hooks) == (True, [])


def test_dropout_is_off_while_it_is_measured() -> None:
    model = build("qwen3").train()
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.9
    assert block_influence(model, [batch()]) == block_influence(model.eval(), [batch()])


def test_no_calibration_token_is_refused() -> None:
    with pytest.raises(UserError, match="calibration"):
        block_influence(build("llama"), [])


def test_broken_weights_are_named() -> None:
    model = build("llama")
    torch.nn.init.constant_(model.model.layers[LAYERS - 1].mlp.down_proj.weight, float("nan"))
    with pytest.raises(UserError, match=rf"layers \[{LAYERS - 1}\] is not finite"):
        block_influence(model, [batch()])
