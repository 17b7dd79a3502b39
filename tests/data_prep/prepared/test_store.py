"""Rows on disk: what is written is read, from anywhere, and by several processes."""

from __future__ import annotations

import pickle
from pathlib import Path

import pyarrow as pa
import pytest

from data_prep.prepared.store import RowWriter, StoredRows
from data_prep.tokens.batches import BatchWork
from data_prep.tokens.prompts import think_format
from data_prep.tokens.tokenize import Labeller, label_trace
from data_prep.trace import Trace
from recipes.data import FormatSection
from tests.data_prep.tokenizers import qwen_like

QWEN = qwen_like()
FMT = think_format(FormatSection(), QWEN)
TRACES = [Trace(f"t{i}", "q" * (i % 7 + 1), "so " * (i % 11), f"a{i}", "f") for i in range(2500)]


def write(path: Path, traces: list[Trace], a_batch: int) -> RowWriter:
    work = BatchWork(Labeller(QWEN, FMT), 10_000, "drop")
    with RowWriter(path) as writer:
        for start in range(0, len(traces), a_batch):
            writer.write(work(traces[start : start + a_batch]).rows)
    return writer


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> StoredRows:
    path = tmp_path_factory.mktemp("store") / "rows.arrow"
    write(path, TRACES, 600)
    return StoredRows(path)


@pytest.mark.parametrize("index", [0, 1, 599, 600, 1199, 1200, 2499, -1, -2500])
def test_a_row_is_the_labelled_trace(index: int, stored: StoredRows) -> None:
    assert stored[index] == label_trace(TRACES[index], QWEN, FMT)


def test_rows_come_in_order(stored: StoredRows) -> None:
    assert [row.id for row in stored] == [trace.id for trace in TRACES]


def test_a_slice_is_a_list_of_rows(stored: StoredRows) -> None:
    assert [row.id for row in stored[598:602]] == ["t598", "t599", "t600", "t601"]


@pytest.mark.parametrize("index", [2500, -2501])
def test_there_are_no_rows_beyond_the_ends(index: int, stored: StoredRows) -> None:
    with pytest.raises(IndexError):
        stored[index]


def test_lengths_are_tokens(stored: StoredRows) -> None:
    assert stored.lengths().tolist() == [len(row.input_ids) for row in stored]


def test_a_process_that_gets_the_rows_gets_the_file_not_its_content(stored: StoredRows) -> None:
    content = pickle.dumps(stored)
    assert len(content) < 500 and pickle.loads(content)[7] == stored[7]  # noqa: S301 - made on the line before


def test_counts_and_hash_do_not_depend_on_the_batches(tmp_path: Path) -> None:
    one, other = write(tmp_path / "a", TRACES[:50], 50), write(tmp_path / "b", TRACES[:50], 7)
    rows = StoredRows(tmp_path / "b")
    labelled = sum(label != -100 for row in rows for label in row.labels)
    assert (one.hash, one.tokens, one.labelled_tokens) == (other.hash, int(rows.lengths().sum()), labelled)


def test_the_hash_changes_with_a_token_and_with_a_label(tmp_path: Path) -> None:
    base = Trace("t", "q", "x", "a", "f")
    ids = label_trace(base, QWEN, FMT).input_ids
    other_token = write(tmp_path / "a", [Trace("t", "q", "y", "a", "f")], 1)
    same = write(tmp_path / "b", [Trace("another name", "q", "x", "a", "f")], 1)
    moved = RowWriter(tmp_path / "c")
    work = BatchWork(Labeller(QWEN, FMT), 10_000, "drop")
    rows = work([base]).rows
    moved.write(rows.set_column(2, rows.schema.field(2), pa.array([len(ids) - 1], pa.int32())))
    whole = write(tmp_path / "d", [base], 1)
    assert (whole.hash == same.hash, whole.hash == other_token.hash, whole.hash == moved.hash) == (True, False, False)
