"""The loss of labelled positions: the values and gradients of the plain road over the whole logits, on every family."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from tests.prune.models import FAMILIES, TOKENS, build
from train.loss import labelled as labelled_loss
from train.loss.labelled import can_take_labelled, take_labelled

PLAIN_HEADS = [family for family in FAMILIES if family != "gemma2"]  # it caps its logits
LABELS = TOKENS.masked_fill(torch.arange(TOKENS.shape[1]) < 4, -100)
LABELS[1, 8:] = -100
CPU = torch.device("cpu")


@pytest.fixture(params=[2**22, 53 * 3], ids=["one tile", "tiles of three rows"], autouse=True)
def _tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelled_loss, "TILE_ELEMENTS", request.param)


def gradients(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}
    model.zero_grad()
    return found


def worst(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """The largest difference of a tensor, relative to its largest entry."""
    assert found.keys() == expected.keys()
    return max(float((found[name] - expected[name]).abs().max() / expected[name].abs().max()) for name in expected)


def labelled(model: PreTrainedModel, labels: torch.Tensor = LABELS) -> Any:
    return model(input_ids=TOKENS, labels=labels, use_cache=False, labelled_loss=True)


@pytest.mark.parametrize("family", PLAIN_HEADS)
def test_loss_and_gradients_are_those_of_the_whole_logits(family: str) -> None:
    model = build(family).double()
    plain = model(input_ids=TOKENS, labels=LABELS, use_cache=False).loss
    plain.backward()
    expected = gradients(model)
    take_labelled(model)
    found = labelled(model)
    (found.loss / found.labelled).backward()
    assert found.loss.item() / int(found.labelled) == pytest.approx(plain.item(), rel=1e-6)  # the plain one: float32
    assert worst(gradients(model), expected) <= 1e-6


def test_gradients_in_double_precision_are_those_of_the_formula() -> None:
    model = build("qwen3").double()
    logits = model(input_ids=TOKENS, use_cache=False).logits[:, :-1]
    chosen = LABELS[:, 1:] != -100
    torch.nn.functional.cross_entropy(logits[chosen], LABELS[:, 1:][chosen], reduction="sum").backward()
    expected = gradients(model)
    take_labelled(model)
    labelled(model).loss.backward()
    assert worst(gradients(model), expected) <= 1e-13


def test_a_head_that_does_not_train_gets_no_gradient() -> None:
    model = build("qwen3")
    model.requires_grad_(False)
    model.model.layers[0].mlp.down_proj.weight.requires_grad = True
    model(input_ids=TOKENS, labels=LABELS, use_cache=False).loss.backward()
    expected = gradients(model)
    take_labelled(model)
    found = labelled(model)
    (found.loss / found.labelled).backward()
    assert worst(gradients(model), expected) <= 1e-6


def test_counts_by_hand() -> None:
    model = build("qwen3")
    take_labelled(model)
    found = labelled(model)
    guesses = model(input_ids=TOKENS, use_cache=False).logits.argmax(-1)[:, :-1]
    assert (int(found.labelled), int(found.correct)) == (7 + 4, int((guesses == LABELS[:, 1:]).sum()))


def test_a_batch_without_labels_is_a_zero_that_can_be_trained_on() -> None:
    model = build("qwen3")
    take_labelled(model)
    found = labelled(model, torch.full_like(LABELS, -100))
    found.loss.backward()
    assert (found.loss.item(), float(model.model.embed_tokens.weight.grad.abs().max())) == (0.0, 0.0)


def test_other_calls_are_as_before() -> None:
    model = build("qwen3")
    before = model(input_ids=TOKENS).logits
    take_labelled(model)
    assert torch.equal(model(input_ids=TOKENS).logits, before)


@pytest.mark.parametrize("family", FAMILIES)
def test_only_plain_heads_are_taken(family: str) -> None:
    assert can_take_labelled(build(family), CPU) == (family in PLAIN_HEADS)


def test_half_precision_is_left_to_trl() -> None:
    assert not can_take_labelled(build("qwen3").bfloat16(), CPU)


def test_weights_that_will_be_moved_to_a_gpu_are_left_to_trl() -> None:
    assert not can_take_labelled(build("qwen3"), torch.device("cuda"))
