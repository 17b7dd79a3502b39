"""Trace files: written whole or not at all, over nothing, and read by what they hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pytest

from data_prep.ledger import Ledger
from data_prep.trace import Trace
from data_prep.traces.files import new_file, read_file, trace_row, write_row
from recipes.errors import UserError

TRACE = Trace("t", "q\u2028?", "ä", "a", "here", gold="1")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    with new_file(tmp_path / "t.jsonl") as file:
        write_row(file, trace_row(TRACE))
    ledger = Ledger()
    (found,) = read_file(tmp_path / "t.jsonl", ledger)
    assert (found.id, found.question, found.thinking, found.answer, found.gold) == ("t", "q\u2028?", "ä", "a", "1")
    assert ledger.read == 1


@pytest.mark.parametrize(
    ("thinking", "answer", "thought"), [("", "ä", "whole"), ("", "ä", "absent"), ("ä\n", "", "unclosed")]
)
def test_a_thought_stays_whole_absent_or_unclosed(
    tmp_path: Path, thinking: str, answer: str, thought: Literal["whole", "absent", "unclosed"]
) -> None:
    trace = Trace("t", "q?", thinking, answer, str(tmp_path / "t.jsonl"), "1", thought)
    (tmp_path / "t.jsonl").write_text(json.dumps(trace_row(trace)) + "\n", encoding="utf-8")
    (found,) = read_file(tmp_path / "t.jsonl", Ledger())
    assert (found.thought, found.answer, found.gold) == (thought, answer, "1")
    assert found.thinking.strip() == thinking.strip()


@pytest.mark.parametrize("name", ["t.jsonl", "t.txt", "t"])
def test_a_name_without_a_known_suffix_is_json_lines(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(json.dumps(trace_row(TRACE)) + "\n", encoding="utf-8")
    assert len(list(read_file(tmp_path / name, Ledger()))) == 1


def test_nothing_appears_before_the_end(tmp_path: Path) -> None:
    with new_file(tmp_path / "t.jsonl") as file:
        write_row(file, trace_row(TRACE))
        assert not (tmp_path / "t.jsonl").exists()


def test_nothing_stays_after_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_file(tmp_path / "t.jsonl"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_comes_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="exists already"), new_file(tmp_path / "t.jsonl"):
        (tmp_path / "t.jsonl").write_text("mine", encoding="utf-8")
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [("t.jsonl", "mine")]
