"""The tiled loss: values and gradients of the plain road over the whole logits, on every family with a plain head."""

from __future__ import annotations

import pytest
import torch

from tests.prune.models import FAMILIES, TOKENS, build
from tests.train.loss.losses import LABELLED, LABELS, gradients, plain_loss, taken, worst
from train.loss import tiled
from train.loss.tiled import TiledLoss, is_plain

PLAIN_HEADS = [family for family in FAMILIES if family != "gemma2"]  # it caps its logits
CPU = torch.device("cpu")


@pytest.fixture(params=[2**22, 53 * 3], ids=["one tile", "tiles of three rows"], autouse=True)
def _tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiled, "TILE_ELEMENTS", request.param)


@pytest.mark.parametrize("family", PLAIN_HEADS)
def test_loss_and_gradients_are_those_of_the_whole_logits(family: str) -> None:
    model = build(family).double()
    plain = plain_loss(model)
    plain.backward()
    expected = gradients(model)
    loss, metrics = taken(TiledLoss(), model)
    (loss / metrics["labelled"]).backward()
    assert loss.item() / LABELLED == pytest.approx(plain.item(), rel=1e-6)  # the plain one: float32
    assert worst(gradients(model), expected) <= 1e-6


def test_gradients_in_double_precision_are_those_of_the_formula() -> None:
    model = build("qwen3").double()
    logits = model(input_ids=TOKENS, use_cache=False).logits[:, :-1]
    chosen = LABELS[:, 1:] != -100
    torch.nn.functional.cross_entropy(logits[chosen], LABELS[:, 1:][chosen], reduction="sum").backward()
    expected = gradients(model)
    taken(TiledLoss(), model)[0].backward()
    assert worst(gradients(model), expected) <= 1e-13


def test_a_head_that_does_not_train_gets_no_gradient() -> None:
    model = build("qwen3")
    model.requires_grad_(False)
    model.model.layers[0].mlp.down_proj.weight.requires_grad = True
    plain_loss(model).backward()
    expected = gradients(model)
    loss, metrics = taken(TiledLoss(), model)
    (loss / metrics["labelled"]).backward()
    assert worst(gradients(model), expected) <= 1e-6


def test_counts_by_hand() -> None:
    model = build("qwen3")
    _, metrics = taken(TiledLoss(), model)
    guesses = model(input_ids=TOKENS, use_cache=False).logits.argmax(-1)[:, :-1]
    correct = int((guesses == LABELS[:, 1:]).sum())
    assert {name: int(value) for name, value in metrics.items()} == {
        "labelled": LABELLED,
        "mean_token_accuracy": correct,
    }


def test_a_batch_without_labels_is_a_zero_that_can_be_trained_on() -> None:
    model = build("qwen3")
    loss, _ = taken(TiledLoss(), model, torch.full_like(LABELS, -100))
    loss.backward()
    assert (loss.item(), float(model.model.embed_tokens.weight.grad.abs().max())) == (0.0, 0.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_only_plain_heads_are_taken(family: str) -> None:
    assert is_plain(build(family), CPU) == (family in PLAIN_HEADS)


def test_half_precision_is_left_to_the_kernels() -> None:
    assert not is_plain(build("qwen3").bfloat16(), CPU)


def test_weights_that_will_be_moved_to_a_gpu_are_left_to_the_kernels() -> None:
    assert not is_plain(build("qwen3"), torch.device("cuda"))
