"""Prepared rows as the Trainer takes them: one trace an example padded to the longest, or several whole ones packed.

A packed trace sees itself alone, and its positions start at 0 (see `train.packed_attention`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from datasets import Dataset
from peft import LoraConfig
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import SFTConfig

from data_prep.prepared.prepare import Prepared
from data_prep.prepared.store import StoredRows
from data_prep.tokens.tokenize import IGNORED
from recipes.data import DataSection
from train.order import fillers
from train.packed_attention import packed_collator
from train.trainer import RecoveryTrainer

Example = dict[str, Any]


class Feed(Protocol):
    """How prepared traces become the examples of a trainer; `sequences` is how many there are."""

    @property
    def sequences(self) -> int: ...

    def trainer(
        self,
        model: PreTrainedModel,
        arguments: SFTConfig,
        tokenizer: PreTrainedTokenizerBase,
        adapter: LoraConfig | None,
    ) -> RecoveryTrainer: ...


def feed_of(section: DataSection, prepared: Prepared) -> Feed:
    """The feed that `data.packing` asks for."""
    return PackedFeed(prepared) if section.packing else PaddedFeed(prepared)


@dataclass(frozen=True)
class PaddedFeed:
    """One trace an example; TRL pads a micro batch to its longest."""

    prepared: Prepared

    @property
    def sequences(self) -> int:
        return len(self.prepared.rows)

    def trainer(
        self,
        model: PreTrainedModel,
        arguments: SFTConfig,
        tokenizer: PreTrainedTokenizerBase,
        adapter: LoraConfig | None,
    ) -> RecoveryTrainer:
        alone = [[row] for row in range(len(self.prepared.rows))]
        missing = fillers(len(alone), arguments)
        trainer = RecoveryTrainer(
            model=model,
            args=arguments,
            processing_class=tokenizer,
            peft_config=adapter,
            train_dataset=examples(alone, self.prepared.rows, missing),
        )
        trainer.filling = missing
        return trainer


@dataclass(frozen=True)
class PackedFeed:
    """Several whole traces an example."""

    prepared: Prepared

    @property
    def sequences(self) -> int:
        return len(self.prepared.packed)

    def trainer(
        self,
        model: PreTrainedModel,
        arguments: SFTConfig,
        tokenizer: PreTrainedTokenizerBase,
        adapter: LoraConfig | None,
    ) -> RecoveryTrainer:
        """UserError where packing would not be exact with `model`."""
        pad_id = tokenizer.pad_token_id
        model.config.get_text_config().pad_token_id = model.generation_config.pad_token_id = pad_id  # as TRL does
        missing = fillers(self.sequences, arguments)
        trainer = RecoveryTrainer(
            model=model,
            args=arguments,
            processing_class=tokenizer,
            peft_config=adapter,
            train_dataset=examples(self.prepared.packed, self.prepared.rows, missing),
            data_collator=packed_collator(model, pad_id),
        )
        trainer.filling = missing
        return trainer


def examples(groups: Sequence[Sequence[int]], rows: StoredRows, fillers: int = 0) -> Dataset:
    """One example a group of traces, read from the mapped file when it is asked for: `input_ids`, `labels`, and
    `seq_lengths`, the tokens of each trace. After them come fillers: one token without a label."""
    return Dataset.from_dict({"traces": [*groups, *([] for _ in range(fillers))]}).with_transform(_Joined(rows))


@dataclass(frozen=True)
class _Joined:
    """Examples of groups of traces."""

    rows: StoredRows

    def __call__(self, groups: dict[str, list[list[int]]]) -> dict[str, list[Any]]:
        examples = [self._example(group) for group in groups["traces"]]
        return {key: [example[key] for example in examples] for key in ("input_ids", "labels", "seq_lengths")}

    def _example(self, group: list[int]) -> Example:
        if not group:
            return {"input_ids": np.zeros(1, np.int64), "labels": np.full(1, IGNORED), "seq_lengths": [1]}
        ids, labels = zip(*(self.rows.ids_and_labels(row) for row in group), strict=True)
        return {
            "input_ids": np.concatenate(ids),
            "labels": np.concatenate(labels),
            "seq_lengths": [len(each) for each in ids],
        }
