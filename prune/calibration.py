"""Calibration batches: the traces on which block influence is measured."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from data_prep.tokens.padding import pad_right
from data_prep.tokens.tokenize import Row


def calibration_batches(rows: Sequence[Row], count: int, batch_size: int, pad_id: int) -> list[dict[str, torch.Tensor]]:
    """The first `count` rows, longest first, right-padded to `input_ids` and `attention_mask` [rows, longest]."""
    chosen = sorted(rows[:count], key=lambda row: -len(row.input_ids))
    return [
        pad_right([row.input_ids for row in chosen[i : i + batch_size]], pad_id)
        for i in range(0, len(chosen), batch_size)
    ]
