"""Layers left out in place, and the head on chosen tokens, against the whole model."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from prune.forward import as_given, check_plain, decoder_output, exchanged, head_logits, measuring
from prune.plan import PrunePlan
from prune.surgery import apply_plan
from recipes.errors import UserError
from tests.prune.models import FAMILIES, LAYERS, TOKENS, build

BATCH = {"input_ids": TOKENS, "attention_mask": torch.ones_like(TOKENS)}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_with_layers_left_out_gives_the_bits_of_one_without_them(family: str) -> None:
    model = build(family)
    cut = apply_plan(deepcopy(model), PrunePlan(method="by hand", layers=LAYERS, removed=(1, 4)))
    with measuring(model), exchanged({model.model.layers[i]: as_given for i in (1, 4)}):
        left_out = decoder_output(model, BATCH)["last_hidden_state"]
    with torch.no_grad():
        assert torch.equal(left_out, decoder_output(cut, BATCH)["last_hidden_state"])


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_of_chosen_tokens_are_those_of_the_whole_model(family: str) -> None:
    model = build(family)
    with measuring(model):
        output = decoder_output(model, BATCH)
        chosen = head_logits(model, output, output["last_hidden_state"][:, [0, 7]].reshape(4, -1))
        whole = model(**BATCH).logits[:, [0, 7]].reshape(4, -1)
    torch.testing.assert_close(chosen, whole, rtol=0, atol=1e-6)


def test_the_model_computes_as_before_afterwards() -> None:
    model = build("qwen3")
    with torch.no_grad():
        before = model(**BATCH).logits
        with pytest.raises(ZeroDivisionError), exchanged(dict.fromkeys(model.model.layers, as_given)):
            raise ZeroDivisionError
        assert torch.equal(model(**BATCH).logits, before)


def test_a_forward_that_was_put_in_place_before_comes_back() -> None:
    layer = build("qwen3").model.layers[0]
    own = layer.forward = lambda *_: None
    with exchanged({layer: as_given}):
        assert layer.forward is as_given
    assert layer.forward is own


def test_measuring_gives_the_mode_back() -> None:
    model = build("qwen3").train()
    with measuring(model):
        assert not model.training
    assert model.training


class GivesMore(torch.nn.Module):
    """A layer that gives its hidden states in a tuple."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, hidden_states: torch.Tensor, **named: object) -> tuple[torch.Tensor, ...]:
        return (self.layer(hidden_states, **named),)


def test_layers_that_give_more_than_hidden_states_are_refused() -> None:
    model = build("qwen3")
    model.model.layers[0] = GivesMore(model.model.layers[0])
    # the decoder passes the tuple on as if it were the states, which the next layer cannot take
    model.model.layers[1].forward = lambda hidden_states, *_, **__: hidden_states[0]
    with measuring(model), pytest.raises(UserError, match="'qwen3' return more than hidden states"):
        check_plain(model.model.layers, model, BATCH)
