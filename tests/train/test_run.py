"""The run that is under way, as everything that happens in it knows it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runtime.files import write_rows
from runtime.ranks import ALONE
from tests.train.runs import run_in


def test_the_rows_of_sweeps_up_to_a_step(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    write_rows(run.folder.sweeps, [{"step": 2}, {"step": 4}, {"step": 6}])
    assert [row["step"] for row in run.sweep_rows(4)] == [2, 4]


def test_only_the_first_rank_speaks_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for rank in (0, 1):
        run = run_in(tmp_path / str(rank), replace(ALONE, rank=rank, count=2))
        run.say("hello")
        run.add_facts({"a": 1})
    assert (capsys.readouterr().out, (tmp_path / "0" / "run.json").is_file(), (tmp_path / "1").exists()) == (
        "hello\n",
        True,
        False,
    )
