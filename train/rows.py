"""Prepared rows as the Trainer takes them: one trace a row padded to the longest, or several whole traces packed.

A packed trace sees itself alone: its positions start at 0, and transformers builds the mask (SDPA, eager) or the
sequence borders (FlashAttention) from them. Padding is one more sequence of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from data_prep.prepared import Prepared
from data_prep.store import StoredRows
from data_prep.tokenize import IGNORED
from recipes.data import DataSection
from recipes.errors import UserError

Example = dict[str, Any]
Batch = dict[str, torch.Tensor]
PACKABLE_LAYERS = {"full_attention", "sliding_attention"}
STACKED = {"sdpa", "eager"}


class Feed(Protocol):
    """How prepared traces become the examples of a trainer; `sequences` is how many there are."""

    @property
    def sequences(self) -> int: ...

    def trainer(self, model: PreTrainedModel, arguments: SFTConfig, tokenizer: PreTrainedTokenizerBase,
                adapter: LoraConfig | None) -> SFTTrainer: ...


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

    def trainer(self, model: PreTrainedModel, arguments: SFTConfig, tokenizer: PreTrainedTokenizerBase,
                adapter: LoraConfig | None) -> SFTTrainer:
        alone = [[row] for row in range(len(self.prepared.rows))]
        return SFTTrainer(model=model, args=arguments, train_dataset=examples(alone, self.prepared.rows),
                          processing_class=tokenizer, peft_config=adapter)


@dataclass(frozen=True)
class PackedFeed:
    """Several whole traces an example."""

    prepared: Prepared

    @property
    def sequences(self) -> int:
        return len(self.prepared.packed)

    def trainer(self, model: PreTrainedModel, arguments: SFTConfig, tokenizer: PreTrainedTokenizerBase,
                adapter: LoraConfig | None) -> SFTTrainer:
        """UserError where packing would not be exact with `model`."""
        check_packable(model)
        pad_id = tokenizer.pad_token_id
        model.config.get_text_config().pad_token_id = model.generation_config.pad_token_id = pad_id  # as TRL does
        stacked = model.config._attn_implementation in STACKED
        collator = StackedRows(pad_id) if stacked else DataCollatorForLanguageModeling(pad_id, padding_free=True)
        return (StackedTrainer if stacked else SFTTrainer)(
            model=model, args=arguments, train_dataset=examples(self.prepared.packed, self.prepared.rows),
            processing_class=tokenizer, peft_config=adapter, data_collator=collator)


def examples(groups: Sequence[Sequence[int]], rows: StoredRows) -> Dataset:
    """One example a group of traces, read from the mapped file when it is asked for: `input_ids`, `labels`, and
    `seq_lengths`, the tokens of each trace."""
    return Dataset.from_dict({"traces": groups}).with_transform(_Joined(rows))


@dataclass(frozen=True)
class _Joined:
    """Examples of groups of traces."""

    rows: StoredRows

    def __call__(self, groups: dict[str, list[list[int]]]) -> dict[str, list[Any]]:
        examples = [self._example(group) for group in groups["traces"]]
        return {key: [example[key] for example in examples] for key in ("input_ids", "labels", "seq_lengths")}

    def _example(self, group: list[int]) -> Example:
        ids, labels = zip(*(self.rows.ids_and_labels(row) for row in group), strict=True)
        return {"input_ids": np.concatenate(ids), "labels": np.concatenate(labels),
                "seq_lengths": [len(each) for each in ids]}


def check_packable(model: PreTrainedModel) -> None:
    """UserError where the traces of a packed row would not be kept apart, so that packing changed the loss."""
    config = model.config.get_text_config()
    layers = set(getattr(config, "layer_types", None) or ["full_attention"])
    if layers - PACKABLE_LAYERS:
        raise UserError(f"data.packing=true: layers of the kind {', '.join(sorted(layers - PACKABLE_LAYERS))} carry "
                        "one trace into the next; use data.packing=false")
    attention = model.config._attn_implementation
    if attention not in STACKED | {"flash_attention_2"}:
        raise UserError(f"data.packing=true: with attention {attention} traces of a row are not kept apart; "
                        "use model.attention=sdpa or data.packing=false")


@dataclass(frozen=True)
class StackedRows:
    """Packed rows one above the other, [rows, longest]: `input_ids`, `labels`, `position_ids`, and `real_tokens`.

    There is no attention mask: with one, transformers would not look at the positions. Side by side in one long row, as
    FlashAttention wants them, the rows would cost a mask that grows with the square of the micro batch.
    """

    pad_id: int

    def __call__(self, examples: list[Example]) -> Batch:
        longest = max(len(example["input_ids"]) for example in examples)
        positions = [np.concatenate([np.arange(length) for length in example["seq_lengths"]]) for example in examples]
        return {"input_ids": _stack([example["input_ids"] for example in examples], longest, self.pad_id),
                "labels": _stack([example["labels"] for example in examples], longest, IGNORED),
                "position_ids": torch.stack([_with_padding(row, longest) for row in positions]),
                "real_tokens": torch.tensor(sum(map(len, positions)))}


def _stack(rows: Sequence[np.ndarray], longest: int, filler: int) -> torch.Tensor:
    stacked = np.full((len(rows), longest), filler, dtype=np.int64)
    for place, row in zip(stacked, rows, strict=True):
        place[: len(row)] = row
    return torch.from_numpy(stacked)


def _with_padding(positions: np.ndarray, longest: int) -> torch.Tensor:
    return torch.from_numpy(np.concatenate([positions, np.arange(longest - len(positions))]))


class StackedTrainer(SFTTrainer):
    """TRL's trainer, which takes a batch without a mask for one long row; this one counts the tokens of all rows."""

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        seen: float = self._total_train_tokens  # type: ignore[has-type]
        seen += self.accelerator.gather(inputs.pop("real_tokens")).sum().item()
        loss = super().compute_loss(model, inputs, *args, **kwargs)
        self._total_train_tokens = seen
        self._metrics["train"]["num_tokens"] = [seen]
        return loss
