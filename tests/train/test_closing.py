"""The last words of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.ranks import Ranks
from runtime.run_folder import RunFolder
from tests.train.runs import run_in
from train import closing


def test_a_run_that_was_asked_to_stop_says_where_it_resumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    closing.stop(run_in(tmp_path), 40)
    assert capsys.readouterr().out == "asked to stop: saved at step 40; the same command resumes\n"


def test_of_several_ranks_the_first_alone_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    second = Ranks(rank=1, count=2, gather=lambda rows: rows)
    closing.stop(run_in(tmp_path, second), 40)
    assert capsys.readouterr().out == ""


def test_the_report_is_named_first_and_then_each_figure(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.figures.mkdir()
    (folder.figures / "lengths.png").touch()
    assert closing.report_lines(folder) == [f"report  {folder.report}", f"figure  {folder.figures / 'lengths.png'}"]
