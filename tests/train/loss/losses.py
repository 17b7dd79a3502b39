"""What the tests of losses share: a batch, a loss called as the trainer calls it, and the plain road beside it."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from tests.prune.models import TOKENS
from train.loss.base import Loss, Metrics, inside_forward

LABELS = TOKENS.masked_fill(torch.arange(TOKENS.shape[1]) < 4, -100)
LABELS[1, 8:] = -100
LABELLED = 7 + 4


def taken(loss: Loss, model: PreTrainedModel, labels: torch.Tensor = LABELS) -> tuple[torch.Tensor, Metrics]:
    """The loss of one batch."""
    return inside_forward(model, model, loss, {"input_ids": TOKENS, "labels": labels})


def plain_loss(model: PreTrainedModel) -> torch.Tensor:
    """The model's own mean over the labels, by whole logits."""
    loss: torch.Tensor = model(input_ids=TOKENS, labels=LABELS, use_cache=False).loss
    return loss


def gradients(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Takes the gradients off the model."""
    taken_off = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return taken_off


def worst(actual: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """The largest difference of a tensor, relative to its largest entry."""
    assert actual.keys() == expected.keys()
    return max(float((actual[name] - expected[name]).abs().max() / expected[name].abs().max()) for name in expected)
