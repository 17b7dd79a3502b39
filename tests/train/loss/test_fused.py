"""The loss on TRL's kernels, in torch here: the model's own loss and gradients, whatever its family does to logits."""

from __future__ import annotations

import pytest
import torch

from tests.prune.models import FAMILIES, TOKENS, build
from tests.train.loss.losses import LABELLED, LABELS, gradients, plain_loss, taken, worst
from train.loss.fused import FusedLoss


@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradients_are_the_models_own(family: str) -> None:
    model = build(family)
    plain = plain_loss(model)
    plain.backward()
    expected = gradients(model)
    loss, metrics = taken(FusedLoss(), model)
    (loss / metrics["labelled"]).backward()
    assert loss.item() / LABELLED == pytest.approx(plain.item(), rel=1e-5)
    assert worst(gradients(model), expected) <= 1e-4


def test_entropy_and_accuracy_by_hand() -> None:
    model = build("qwen3")
    _, metrics = taken(FusedLoss(), model)
    logits = model(input_ids=TOKENS, use_cache=False).logits[:, :-1][LABELS[:, 1:] != -100]  # [labelled, vocabulary]
    entropy = torch.distributions.Categorical(logits=logits).entropy().sum()
    correct = (logits.argmax(-1) == LABELS[:, 1:][LABELS[:, 1:] != -100]).sum()
    assert float(metrics["entropy"]) == pytest.approx(float(entropy.detach()), rel=1e-5)
    assert (int(metrics["labelled"]), int(metrics["mean_token_accuracy"])) == (LABELLED, int(correct))


def test_bfloat16_is_within_its_rounding() -> None:
    model = build("qwen3")
    expected = taken(FusedLoss(), model)[0].item()
    assert taken(FusedLoss(), model.bfloat16())[0].item() == pytest.approx(expected, rel=2e-2)


def test_a_batch_without_labels_is_a_zero_that_can_be_trained_on() -> None:
    model = build("qwen3")
    loss, _ = taken(FusedLoss(), model, torch.full_like(LABELS, -100))
    loss.backward()
    assert (loss.item(), float(model.model.embed_tokens.weight.grad.abs().max())) == (0.0, 0.0)
