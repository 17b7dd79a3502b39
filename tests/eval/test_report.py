"""The command that makes the report of a run folder."""

import json
from pathlib import Path

import pytest

from eval.report import main, newest_sweep
from recipes.errors import UserError
from runtime.files import write_rows
from runtime.run_folder import RunFolder
from tests.eval.show.made_rows import made_rows


def test_a_run_that_has_just_begun_has_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"id": "1", "name": "begun"}))
    main([str(tmp_path)])
    state, resume, empty, report = capsys.readouterr().out.splitlines()
    assert state.startswith("Unfinished at step 0; last written 20") and resume.startswith("To resume (from its begin")
    assert (empty, report) == ("", f"report {tmp_path / 'report.html'}")
    assert f'<p class="word">{state}</p>\n<p class="say">{resume}</p>' in (tmp_path / "report.html").read_text()


def test_of_a_finished_run_there_is_the_table_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"finished": "2026-11-29T12:00:00+0000"}))
    main([str(tmp_path)])
    assert capsys.readouterr().out == f"report {tmp_path / 'report.html'}\n"


def test_the_newest_sweep_is_shown_on_demand(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert newest_sweep(folder) == ""
    write_rows(folder.sweeps, made_rows(run_steps=(4, 10)))
    lines = newest_sweep(folder).splitlines()
    assert lines[0].startswith("step 10, chain: accuracy by thinking budget")
    assert [line.split()[0] for line in lines[2:5]] == ["unpruned", "pruned", "now"]


def test_what_is_no_run_is_named_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not a run folder \(it has no run.json\)"):
        main([str(tmp_path)])


def test_without_a_folder_it_says_what_to_give() -> None:
    with pytest.raises(UserError, match="give the folder of a run"):
        main([])
