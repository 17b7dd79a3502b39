"""Arrays with one entry per labelled token of a prepared set, in the order of its rows, mapped from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from data_prep.prepared.store import StoredRows


class ByLabel:
    """The array [labelled tokens, …] of a `.npy` file, row by row; a process that receives it maps the file itself."""

    def __init__(self, path: Path, starts: np.ndarray) -> None:
        """starts: where the entries of each row begin, and their number (`label_starts`)."""
        self.path, self.starts = path, starts
        self.array = np.load(path, mmap_mode="r", allow_pickle=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return ByLabel, (self.path, self.starts)

    def of_row(self, row: int) -> np.ndarray:
        """[labelled, …] of one row, a copy."""
        return np.array(self.array[self.starts[row] : self.starts[row + 1]])


def label_starts(rows: StoredRows) -> np.ndarray:
    """int64 [rows + 1]: where the labelled tokens of each row begin among those of all rows."""
    starts: np.ndarray = np.cumsum(np.concatenate([[0], rows.lengths() - rows.prompt_tokens()]), dtype=np.int64)
    return starts
