"""The traces that a pruning method measures on, and the batches they are measured in."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerBase

from data_prep.prepared.prepare import Prepared, Say, prepare
from data_prep.problem import Suite
from data_prep.tokens.padding import pad_right
from data_prep.tokens.prompts import ThinkFormat
from data_prep.tokens.tokenize import Row
from recipes.data import DataSection


def calibration_set(
    data: DataSection, tokenizer: PreTrainedTokenizerBase, fmt: ThinkFormat, say: Say, suites: Sequence[Suite]
) -> Prepared:
    """The recipe's traces as a run trains on them, clear of its suites, but without `data.select`.

    The scores that `data.select` reads are losses of the pruned model, so they exist only after the cut. A recipe that
    selects nothing has the same set here and in training: it is made once and found again.
    """
    return prepare(data.changed(select=None), tokenizer, fmt, say, suites)


def calibration_batches(rows: Sequence[Row], count: int, batch_size: int, pad_id: int) -> list[dict[str, torch.Tensor]]:
    """The first `count` rows, longest first, right-padded to `input_ids` and `attention_mask` [rows, longest]."""
    chosen = sorted(rows[:count], key=lambda row: -len(row.input_ids))
    return [
        pad_right([row.input_ids for row in chosen[i : i + batch_size]], pad_id)
        for i in range(0, len(chosen), batch_size)
    ]
