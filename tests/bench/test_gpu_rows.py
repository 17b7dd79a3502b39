"""Rows as they are printed and read again."""

from __future__ import annotations

import pytest

from tests.bench.gpu_rows import Deadline, not_measured, print_rows, read_rows_of, row


def test_printed_rows_are_read_again_among_other_lines(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row("a", 3.0, "ms", "at most 4", 6.0), not_measured("b", "no time")]
    print("a library speaks")
    print_rows(rows)
    print("12")
    assert list(read_rows_of(capsys.readouterr().out.splitlines())) == rows
    assert rows[0]["ratio"] == 0.5


def test_rows_that_come_as_one_list_are_read_too() -> None:
    assert list(read_rows_of(['[{"name": "a", "value": 1}, {"name": "b", "value": 2}]']))[1]["name"] == "b"


def test_a_deadline_counts_down() -> None:
    times = iter([100.0, 103.0, 111.0])
    deadline = Deadline(10.0, clock=lambda: next(times))
    assert (deadline.left, deadline.left) == (7.0, -1.0)
