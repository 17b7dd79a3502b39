"""Prepared rows as examples for the Trainer: one padded trace per example, or several whole traces packed.

A packed trace attends only to itself, and its positions start at 0 (see `train.packed_attention`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from data_prep.prepared.prepare import Prepared
from data_prep.prepared.store import StoredRows
from data_prep.tokens.tokenize import IGNORED
from recipes.data import DataSection
from train.loss.choose import Column
from train.packed_attention import packed_collator

Example = dict[str, Any]
TOKENS = ("input_ids", "labels", "seq_lengths")
NO_COLUMNS: Mapping[str, Column] = {}


@dataclass(frozen=True)
class Feed:
    """Turns prepared traces into the examples of a trainer; each element of `groups` lists the traces of one
    example."""

    prepared: Prepared
    groups: Sequence[Sequence[int]]
    packed: bool

    @property
    def sequences(self) -> int:
        """The number of examples, without fillers."""
        return len(self.groups)

    def dataset(self, filling: int, columns: Mapping[str, Column] = NO_COLUMNS) -> Dataset:
        """The examples, then `filling` fillers; `columns` are what a loss reads for each label."""
        return examples(self.groups, self.prepared.rows, filling, columns)

    def collator(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Any:
        """The collator; None for TRL's own, which pads examples to the longest.

        UserError if packing would not be exact with `model`.
        """
        if not self.packed:
            return None
        pad_id = tokenizer.pad_token_id
        # TRL does so if it makes the collator itself
        model.config.get_text_config().pad_token_id = model.generation_config.pad_token_id = pad_id
        return packed_collator(model, pad_id)


def feed_of(section: DataSection, prepared: Prepared) -> Feed:
    """One trace per example, or packed rows if `data.packing` is set."""
    groups = prepared.packed if section.packing else [[row] for row in range(len(prepared.rows))]
    return Feed(prepared, groups, section.packing)


def examples(
    groups: Sequence[Sequence[int]], rows: StoredRows, fillers: int = 0, columns: Mapping[str, Column] = NO_COLUMNS
) -> Dataset:
    """One example per group of traces, read lazily from the memory-mapped file: `input_ids`, `labels`, `seq_lengths`
    (the tokens of each trace), and `columns`. Then come fillers: one token without a label."""
    return Dataset.from_dict({"traces": [*groups, *([] for _ in range(fillers))]}).with_transform(
        _Joined(rows, columns)
    )


@dataclass(frozen=True)
class _Joined:
    """Makes examples from groups of traces."""

    rows: StoredRows
    columns: Mapping[str, Column]

    def __call__(self, groups: dict[str, list[list[int]]]) -> dict[str, list[Any]]:
        examples = [self._example(group) for group in groups["traces"]]
        return {key: [example[key] for example in examples] for key in (*TOKENS, *self.columns)}

    def _example(self, group: list[int]) -> Example:
        if not group:
            nothing = {name: column.of_row(0)[:0] for name, column in self.columns.items()}
            return {"input_ids": np.zeros(1, np.int64), "labels": np.full(1, IGNORED), "seq_lengths": [1], **nothing}
        ids, labels = zip(*(self.rows.ids_and_labels(row) for row in group), strict=True)
        return {
            "input_ids": np.concatenate(ids),
            "labels": np.concatenate(labels),
            "seq_lengths": [len(trace) for trace in ids],
            **{name: np.concatenate([column.of_row(row) for row in group]) for name, column in self.columns.items()},
        }
