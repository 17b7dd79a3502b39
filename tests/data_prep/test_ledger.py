"""Where every row went: counts, the first names of each reason, and numbers that must add up."""

from __future__ import annotations

import io
import json

import pytest

from data_prep.ledger import MOST_NAMED, Ledger


def test_what_was_read_is_kept_or_lost() -> None:
    ledger = Ledger()
    ledger.read, ledger.kept = 3, 1
    ledger.lose("loop", "f:2", "ends in a loop")
    ledger.lose("too long", "f:3")
    ledger.change("shortened")
    assert ledger.facts() == {
        "read": 3,
        "kept": 1,
        "lost": {"loop": 1, "too long": 1},
        "changed": {"shortened": 1},
        "named": {"loop": ["f:2: ends in a loop"], "too long": ["f:3"]},
        "notes": [],
    }


def test_a_row_that_is_unaccounted_for_is_a_fault() -> None:
    ledger = Ledger()
    ledger.read = 2
    ledger.lose("loop", "f:1")
    with pytest.raises(ValueError, match="read 2 rows, kept 0, lost 1"):
        ledger.facts()


def test_only_the_first_of_each_reason_are_named_and_every_one_is_written() -> None:
    lines = io.StringIO()
    ledger = Ledger(lines)
    for number in range(MOST_NAMED + 5):
        ledger.lose("loop", f"f:{number}", "é")
    assert ledger.named["loop"] == [f"f:{number}: é" for number in range(MOST_NAMED)]
    rows = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert rows == [{"reason": "loop", "where": f"f:{number}", "why": "é"} for number in range(MOST_NAMED + 5)]


def test_a_note_stands_once() -> None:
    ledger = Ledger()
    for text in ("a", "b", "a"):
        ledger.note(text)
    assert ledger.notes == ["a", "b"]
