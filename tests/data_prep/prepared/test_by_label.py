"""Arrays with one entry a labelled token, row by row."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from data_prep.commands.nano import FORMAT
from data_prep.nano_world import build_tokenizer
from data_prep.prepared.by_label import ByLabel, label_starts
from data_prep.prepared.prepare import prepare
from data_prep.tokens.prompts import think_format
from data_prep.tokens.tokenize import IGNORED
from recipes.data import DataSection

NANO = build_tokenizer()


def test_rows_begin_where_the_labels_of_those_before_end(tmp_path: Path) -> None:
    keys = {"traces": {"source": "nano", "size": 20}, "max_length_tokens": 256, "cache_dir": tmp_path}
    prepared = prepare(DataSection.model_validate(keys), NANO, think_format(FORMAT, NANO))
    counts = [sum(label != IGNORED for label in row.labels) for row in prepared.rows]
    assert np.diff(label_starts(prepared.rows)).tolist() == counts
    assert int(label_starts(prepared.rows)[-1]) == prepared.labelled_tokens


def test_a_row_has_its_own_entries_in_another_process_too(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(10).reshape(5, 2))
    column = pickle.loads(pickle.dumps(ByLabel(tmp_path / "a.npy", np.array([0, 2, 2, 5]))))  # noqa: S301
    assert [column.of_row(row).tolist() for row in range(3)] == [[[0, 1], [2, 3]], [], [[4, 5], [6, 7], [8, 9]]]
