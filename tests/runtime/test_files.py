"""Rows of JSON Lines files are read again, or the broken line is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.errors import UserError
from runtime.files import read_rows


def test_rows_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"step": 1}\n{"step": 2, "name": "ä"}\n', encoding="utf-8")
    assert read_rows(tmp_path / "rows.jsonl") == [{"step": 1}, {"step": 2, "name": "ä"}]


def test_without_the_file_there_are_no_rows(tmp_path: Path) -> None:
    assert read_rows(tmp_path / "rows.jsonl") == []


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("{}\n{")
    with pytest.raises(UserError, match=r"rows\.jsonl:2: not JSON"):
        read_rows(tmp_path / "rows.jsonl")
