"""Prepared rows on disk: one Arrow file, written row by row and memory-mapped when it is read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, overload

import numpy as np
import pyarrow as pa

from data_prep.tokens.batches import SCHEMA
from data_prep.tokens.tokenize import IGNORED, Row

WRITE_ROWS = 1024
"""rows are collected before they are written: many small records are slow to open"""


class RowWriter:
    """Writes rows to `path`, counts tokens, and hashes the ids and which of them are labelled."""

    def __init__(self, path: Path) -> None:
        self.rows = self.tokens = self.labelled_tokens = 0
        self._ids, self._prompts = hashlib.sha256(), hashlib.sha256()
        self._file = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_stream(self._file, SCHEMA)
        self._waiting: list[pa.RecordBatch] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write()
        self._writer.close()
        self._file.close()

    @property
    def hash(self) -> str:
        """16 hex digits; the same for the same ids and labels in the same order."""
        return hashlib.sha256(self._ids.digest() + self._prompts.digest()).hexdigest()[:16]

    def write(self, rows: pa.RecordBatch) -> None:
        ids, prompts = rows["input_ids"].flatten().to_numpy(), rows["prompt_tokens"].to_numpy()
        lengths = np.diff(rows["input_ids"].offsets.to_numpy())
        self._ids.update(ids.tobytes())
        self._prompts.update(np.stack([lengths, prompts]).T.tobytes())
        self.rows += len(rows)
        self.tokens += len(ids)
        self.labelled_tokens += len(ids) - int(prompts.sum())
        self._waiting.append(rows)
        if sum(map(len, self._waiting)) >= WRITE_ROWS:
            self._write()

    def _write(self) -> None:
        for batch in pa.Table.from_batches(self._waiting, SCHEMA).combine_chunks().to_batches():
            self._writer.write_batch(batch)
        self._waiting = []


class StoredRows(Sequence[Row]):
    """The rows of a file, memory-mapped; a process that receives them maps the file itself."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with pa.memory_map(str(path)) as source:
            self._batches = pa.ipc.open_stream(source).read_all().to_batches()
        self._starts = np.cumsum([0, *map(len, self._batches)])

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredRows, (self.path,)

    def __len__(self) -> int:
        return int(self._starts[-1])

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        batch, at = self._find(index)
        ids, labels = self.ids_and_labels(index)
        return Row(batch["id"][at].as_py(), ids.tolist(), labels.tolist(), batch["shortened"][at].as_py())

    def ids_and_labels(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Two int64 arrays [tokens] of one row."""
        batch, at = self._find(index)
        ids = batch["input_ids"][at].values.to_numpy().astype(np.int64)
        labels = ids.copy()
        labels[: batch["prompt_tokens"][at].as_py()] = IGNORED
        return ids, labels

    def lengths(self) -> np.ndarray:
        """Tokens of every row."""
        return np.concatenate(
            [np.zeros(0, np.int32), *(np.diff(batch["input_ids"].offsets.to_numpy()) for batch in self._batches)]
        )

    def prompt_tokens(self) -> np.ndarray:
        """The number of unlabelled tokens at the beginning of every row."""
        return np.concatenate([np.zeros(0, np.int32), *(batch["prompt_tokens"].to_numpy() for batch in self._batches)])

    def __iter__(self) -> Iterator[Row]:
        return (self[i] for i in range(len(self)))

    def _find(self, index: int) -> tuple[pa.RecordBatch, int]:
        """The record that contains a row, and the row's index in it; IndexError beyond the end."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self._batches[number], index - int(self._starts[number])
