"""The loss of a model on whole traces: mean cross entropy over the labelled tokens of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from data_prep.tokens.padding import pad_right
from data_prep.tokens.tokenize import Row
from runtime.pulse import beat

SLICE_TOKENS = 1024
"""number of tokens whose logits are converted to float32 at once"""


def trace_losses(model: PreTrainedModel, rows: Sequence[Row], batch_tokens: int) -> Iterator[tuple[int, float]]:
    """(index of the row, its mean loss per labelled token in nats), batch by batch, the longest rows first.

    batch_tokens: padded tokens per batch; a longer row is a batch of its own.
    """
    waiting = sorted(range(len(rows)), key=lambda i: -len(rows[i].input_ids))
    while waiting:
        size = max(1, batch_tokens // len(rows[waiting[0]].input_ids))
        batch, waiting = waiting[:size], waiting[size:]
        losses = _batch_losses(model, [rows[i] for i in batch])
        beat(sum(len(rows[i].input_ids) for i in batch))
        yield from zip(batch, losses, strict=True)


@torch.no_grad()
def _batch_losses(model: PreTrainedModel, batch: Sequence[Row]) -> list[float]:
    inputs = {name: tensor.to(model.device) for name, tensor in pad_right([r.input_ids for r in batch], 0).items()}
    logits = model(**inputs, use_cache=False).logits
    return [_row_loss(logits[i], row) for i, row in enumerate(batch)]


def _row_loss(logits: torch.Tensor, row: Row) -> float:
    """logits [tokens, vocabulary] of one row; the logits at position i - 1 predict the token at i."""
    labels = torch.tensor(row.labels[1:], device=logits.device)
    predicting = logits[: len(labels)]
    # In slices: float32 logits of a long row and a large vocabulary would not fit in memory next to the model.
    total = sum(
        float(cross_entropy(part.float(), targets, reduction="sum"))
        for part, targets in zip(predicting.split(SLICE_TOKENS), labels.split(SLICE_TOKENS), strict=True)
    )
    return total / int((labels >= 0).sum())
