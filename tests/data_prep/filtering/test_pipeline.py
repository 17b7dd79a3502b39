"""The pipeline: source and filters in a row, a ledger that adds up, and a word where nothing is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_prep.filtering.pipeline import read_and_filter
from data_prep.ledger import Ledger
from data_prep.problem import Problem, Suite
from recipes.data import DataSection
from recipes.errors import UserError
from recipes.traces import FileTraces
from tests.data_prep.trace_files import write_rows

GOOD = {"question": "q", "thinking": "t", "answer": "a"}
ROWS: list[dict[str, Any]] = [
    {**GOOD, "id": "first"},
    {**GOOD, "answer": 3},
    {**GOOD, "answer": ""},
    {"prompt": "q", "completion": "<think>t"},
    {"prompt": "q", "completion": "a"},
    {**GOOD, "id": "last"},
]


def section(tmp_path: Path, rows: list[dict[str, Any]], **keys: Any) -> DataSection:
    path = write_rows(tmp_path / "traces.jsonl", rows)
    return DataSection(traces=FileTraces(source="file", path=path), max_length_tokens=8, **keys)


def test_what_is_kept_keeps_its_order_and_the_numbers_add_up(tmp_path: Path) -> None:
    ledger = Ledger()
    kept = [trace.id for trace in read_and_filter(section(tmp_path, ROWS, on_error="skip"), ledger)]
    ledger.kept = len(kept)
    assert kept == ["first", "last"]
    assert ledger.facts() | {"named": None} == {
        "read": 6,
        "kept": 2,
        "changed": {},
        "notes": [],
        "named": None,
        "lost": {"broken row": 1, "missing final answer": 1, "unclosed thinking": 1, "no thinking": 1},
    }


def test_by_default_a_broken_row_stops_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"traces\.jsonl:2: 'answer' must be text, got int"):
        list(read_and_filter(section(tmp_path, ROWS), Ledger()))


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    ledger = Ledger()
    next(read_and_filter(section(tmp_path, ROWS), ledger))
    assert ledger.read == 1


def test_where_no_trace_is_left_the_reasons_are_told(tmp_path: Path) -> None:
    rows = [{"instruction": "q", "output": "a"}] * 3
    with pytest.raises(UserError, match=r"(?s)none of the 3 rows .*\(no thinking 3\): .*absent_thinking=null"):
        list(read_and_filter(section(tmp_path, rows), Ledger()))


def test_every_stage_of_quality_is_passed_in_turn(tmp_path: Path) -> None:
    rows = [
        {**GOOD, "id": name, "question": question, "answer": answer, "gold": "5"}
        for name, question, answer in (
            ("first", "how far is it", "5"),
            ("again", "How far  is it", "5"),
            ("asked", "So how tall the tower is", "5"),
            ("wrong", "how old is he", "6"),
            ("last", "how long is it", "5"),
        )
    ]
    suite = Suite("towers", (Problem("t", "tell me how tall the tower is", "5"),), "math")
    keys = {
        "duplicates": {"exact": "question"},
        "decontaminate": {"n": 4, "shared": 2},
        "verify": {"grader": "integer"},
    }
    ledger = Ledger()
    kept = [trace.id for trace in read_and_filter(section(tmp_path, rows, **keys), ledger, [suite])]
    assert kept == ["first", "last"]
    assert ledger.lost == {"duplicate": 1, "in suite towers": 1, "wrong answer": 1}
