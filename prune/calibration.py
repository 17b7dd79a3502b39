"""The data that a pruning method measures on, and its batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from data_prep.models import load_tokenizer
from data_prep.prepared.prepare import Prepared, Say, prepare
from data_prep.problem import Suite
from data_prep.suites.confirm import measured_suites
from data_prep.tokens.padding import pad_right
from data_prep.tokens.prompts import ThinkFormat, think_format
from data_prep.tokens.tokenize import IGNORED, Row
from recipes.data import DataSection
from recipes.schema import Recipe


@dataclass(frozen=True)
class Sequences:
    """Rows to measure on, and what the plan records about them in addition to their number."""

    rows: Sequence[Row]
    facts: dict[str, Any] = field(default_factory=dict)


def calibration_set(
    data: DataSection, tokenizer: PreTrainedTokenizerBase, fmt: ThinkFormat, say: Say, suites: Sequence[Suite]
) -> Prepared:
    """The recipe's traces as a run trains on them, decontaminated against its suites, but without `data.select`.

    The scores that `data.select` reads are losses of the pruned model, so they exist only after the cut. If a recipe
    selects nothing, this set and the training set are the same: it is prepared once and reused.
    """
    return prepare(data.changed(select=None), tokenizer, fmt, say, suites)


def set_of_recipe(recipe: Recipe) -> Prepared:
    """The recipe's traces to measure on, prepared here unless a run has prepared them already."""
    tokenizer = load_tokenizer(recipe.model.unpruned, recipe.model)
    fmt = think_format(recipe.data.format, tokenizer)
    return calibration_set(recipe.data, tokenizer, fmt, print, measured_suites(recipe.sweep))


def calibration_batches(rows: Sequence[Row], count: int, batch_size: int, pad_id: int) -> list[dict[str, torch.Tensor]]:
    """The first `count` rows, longest first, right-padded: `input_ids`, `attention_mask`, `labels` [rows, longest]."""
    chosen = sorted(rows[:count], key=lambda row: -len(row.input_ids))
    batches = [chosen[i : i + batch_size] for i in range(0, len(chosen), batch_size)]
    return [
        {
            **pad_right([row.input_ids for row in batch], pad_id),
            "labels": pad_right([row.labels for row in batch], IGNORED)["input_ids"],
        }
        for batch in batches
    ]
