"""Mean squares of inputs against a direct computation."""

from __future__ import annotations

import pytest
import torch

from prune.methods.inputs import mean_squares
from recipes.errors import UserError
from tests.prune.models import TOKENS, build

NAME = "model.layers.1.mlp.down_proj"


def batch(tokens: torch.Tensor = TOKENS, padding: int = 0) -> dict[str, torch.Tensor]:
    mask = torch.nn.functional.pad(torch.ones_like(tokens), (0, padding))
    return {"input_ids": torch.nn.functional.pad(tokens, (0, padding)), "attention_mask": mask}


def measured(*batches: dict[str, torch.Tensor]) -> torch.Tensor:
    model = build("llama")
    return mean_squares(model, {NAME: model.get_submodule(NAME)}, batches)[NAME]


def test_it_is_the_mean_over_tokens_of_the_square_of_each_feature() -> None:
    model, seen = build("llama"), []
    hook = model.get_submodule(NAME).register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        model(TOKENS, use_cache=False)
    hook.remove()
    assert torch.allclose(measured(batch()), seen[0].double().square().mean(dim=(0, 1)), atol=1e-9)


def test_padding_does_not_count() -> None:
    assert torch.allclose(measured(batch(padding=5)), measured(batch()), atol=1e-6)


def test_every_token_weighs_the_same_whatever_its_batch() -> None:
    long, short = measured(batch(TOKENS[:1])), measured(batch(TOKENS[1:, :4]))
    expected = (11 * long + 4 * short) / 15
    assert torch.allclose(measured(batch(TOKENS[:1]), batch(TOKENS[1:, :4])), expected, atol=1e-9)


def test_the_model_is_left_as_it_was() -> None:
    model = build("llama").train()
    module = model.get_submodule(NAME)
    mean_squares(model, {NAME: module}, [batch()])
    assert model.training and not module._forward_pre_hooks


def test_no_token_is_refused() -> None:
    with pytest.raises(UserError, match="no calibration tokens"):
        measured()


def test_what_is_not_finite_is_named() -> None:
    model = build("llama")
    torch.nn.init.constant_(model.model.layers[1].mlp.up_proj.weight, float("nan"))
    with pytest.raises(UserError, match=r"layers.1.mlp.down_proj are not finite"):
        mean_squares(model, {NAME: model.get_submodule(NAME)}, [batch()])
