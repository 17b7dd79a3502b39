"""The loss of the small reasoner on a row, worked out one token at a time."""

from __future__ import annotations

import math

import torch

from data_prep.tokens.tokenize import IGNORED, Row
from tests.eval.worlds import nano


@torch.no_grad()
def loss_by_hand(row: Row) -> float:
    """One token at a time: what the model gave to the token that came, over the labelled places."""
    total, labelled = 0.0, 0
    for place, label in enumerate(row.labels):
        if label == IGNORED:
            continue
        logits = nano()(torch.tensor([row.input_ids[:place]])).logits[0, -1].double()
        total -= float(logits[label] - math.log(sum(math.exp(each) for each in logits.tolist())))
        labelled += 1
    return total / labelled
