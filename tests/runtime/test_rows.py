"""Rows of JSON Lines: what is written, and which of several rows of one key stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.rows import latest_by, write_rows


def test_a_line_per_row_in_utf_8(tmp_path: Path) -> None:
    write_rows(tmp_path / "deep" / "rows.jsonl", [{"a": "é"}, {"a": None}])
    assert (tmp_path / "deep" / "rows.jsonl").read_bytes() == b'{"a": "\xc3\xa9"}\n{"a": null}\n'


def test_a_fault_on_the_way_leaves_what_was_there(tmp_path: Path) -> None:
    def rows() -> Iterator[dict[str, int]]:
        yield {"a": 2}
        raise ValueError

    path = tmp_path / "rows.jsonl"
    write_rows(path, [{"a": 1}])
    with pytest.raises(ValueError):
        write_rows(path, rows())
    assert path.read_text() == '{"a": 1}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_the_latest_row_of_a_key_takes_the_place_of_the_first() -> None:
    rows = [{"step": 1, "loss": 3}, {"step": 2, "loss": 2}, {"step": 1, "loss": 1}]
    assert latest_by(rows, ("step",)) == [{"step": 1, "loss": 1}, {"step": 2, "loss": 2}]


def test_a_field_that_is_not_there_counts_as_none() -> None:
    assert latest_by([{"step": 1}, {"step": 1, "budget": None}, {"step": 1, "budget": 8}], ("step", "budget")) == [
        {"step": 1, "budget": None},
        {"step": 1, "budget": 8},
    ]
