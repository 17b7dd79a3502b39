"""From a batch of traces to a batch of tokenised rows: the unit of work of a tokenising thread."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa

from data_prep.tokens.overlong import shorten
from data_prep.tokens.tokenize import Labelled, Labeller, Unwritable
from data_prep.trace import Trace
from recipes.data import DataSection
from recipes.errors import UserError

BATCH_TRACES = 128
SCHEMA = pa.schema(
    [("id", pa.string()), ("input_ids", pa.list_(pa.int32())), ("prompt_tokens", pa.int32()), ("shortened", pa.bool_())]
)
"""a stored row; its labels are its ids from `prompt_tokens` on"""

TOO_LONG = "too long"


@dataclass(frozen=True)
class Dropped:
    """A lost trace; the fields are those of `Ledger.lose`."""

    reason: str
    where: str
    why: str


@dataclass(frozen=True)
class Batch:
    """The outcome of a batch of traces. `lengths`: tokens of every trace that could be labelled, before shortening."""

    rows: pa.RecordBatch
    lengths: list[int]
    dropped: list[Dropped]
    changes: list[str]


@dataclass(frozen=True)
class BatchWork:
    """Labels a batch of traces and handles those longer than `max_length_tokens`."""

    labeller: Labeller
    max_length_tokens: int
    overlong: Literal["drop", "error", "shorten"]

    def __call__(self, traces: list[Trace]) -> Batch:
        columns, lengths = _Columns(), []
        dropped: list[Dropped] = []
        for trace, outcome in zip(traces, self.labeller.label_all(traces), strict=True):
            fitting = self.fitting(trace, outcome)
            if isinstance(outcome, Labelled):
                lengths.append(len(outcome))
            if isinstance(fitting, Labelled):
                normalised = isinstance(outcome, Labelled) and outcome.trace != trace
                columns.add(fitting, shortened=fitting is not outcome, normalised=normalised)
            else:
                dropped.append(fitting)
        return Batch(columns.rows(), lengths, dropped, columns.changes)

    def fitting(self, trace: Trace, outcome: Labelled | Unwritable) -> Labelled | Dropped:
        """The outcome for one labelled trace within the limit: itself, or shortened if `overlong` says so."""
        if isinstance(outcome, Unwritable):
            return Dropped(outcome.reason, trace.where, str(outcome))
        if len(outcome) <= self.max_length_tokens:
            return outcome
        shorter = self._shortened(outcome) if self.overlong == "shorten" else None
        return shorter or Dropped(TOO_LONG, trace.where, self._why(outcome))

    def _shortened(self, labelled: Labelled) -> Labelled | None:
        """`labelled` without steps from the middle of its thinking, within the limit; None if that is not possible."""
        room = self.max_length_tokens - len(labelled.prompt_ids)
        shorter = shorten(labelled.trace, lambda trace: len(self.labeller.completion(trace)) <= room)
        if shorter is None:
            return None
        (proven,) = self.labeller.label_all([shorter])
        return proven if isinstance(proven, Labelled) else None

    def _why(self, labelled: Labelled) -> str:
        tail = ", and no two steps of its thinking fit" if self.overlong == "shorten" else ""
        return f"{len(labelled)} tokens{tail}"


def refuse(dropped: Dropped, section: DataSection) -> None:
    """UserError if the recipe does not allow the loss of such a trace."""
    if dropped.reason != TOO_LONG and section.on_error == "stop":
        raise UserError(
            f"data.traces: trace {dropped.where}: {dropped.why}; "
            "data.on_error=skip leaves such traces out and counts them"
        )
    if dropped.reason == TOO_LONG and section.overlong == "error":
        raise UserError(
            f"data.overlong=error: trace {dropped.where} has {dropped.why}, more than "
            f"data.max_length_tokens={section.max_length_tokens}; raise it, or drop or shorten such "
            "traces with data.overlong=drop or shorten"
        )


@dataclass
class _Columns:
    """The columns of rows that are being built."""

    ids: list[str] = field(default_factory=list)
    input_ids: list[list[int]] = field(default_factory=list)
    prompt_tokens: list[int] = field(default_factory=list)
    shortened: list[bool] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)

    def add(self, labelled: Labelled, shortened: bool, normalised: bool) -> None:
        self.ids.append(labelled.trace.id)
        self.input_ids.append(labelled.prompt_ids + labelled.completion_ids)
        self.prompt_tokens.append(len(labelled.prompt_ids))
        self.shortened.append(shortened)
        if shortened:
            self.changes.append("shortened")
        if normalised:
            self.changes.append("normalised")

    def rows(self) -> pa.RecordBatch:
        flat = pa.array(_flat(self.input_ids))
        borders = pa.array([0, *itertools.accumulate(map(len, self.input_ids))], pa.int32())
        return pa.record_batch(
            [
                pa.array(self.ids, pa.string()),
                pa.ListArray.from_arrays(borders, flat),
                pa.array(self.prompt_tokens, pa.int32()),
                pa.array(self.shortened, pa.bool_()),
            ],
            SCHEMA,
        )


def _flat(lists: list[list[int]]) -> np.ndarray:
    """All numbers as one int32 array, in a tenth of the time that Arrow takes for lists."""
    return np.fromiter(itertools.chain.from_iterable(lists), dtype=np.int32, count=sum(map(len, lists)))


def batches_of(traces: Iterable[Trace]) -> Iterator[list[Trace]]:
    """The traces in lists of 128."""
    rest = iter(traces)
    while batch := list(itertools.islice(rest, BATCH_TRACES)):
        yield batch
