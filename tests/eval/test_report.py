"""The command that makes the report of a run folder."""

import json
from pathlib import Path

import pytest

from eval.report import main
from recipes.errors import UserError


def test_a_run_that_has_just_begun_has_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"id": "1", "name": "begun"}))
    main([str(tmp_path)])
    assert capsys.readouterr().out == f"report {tmp_path / 'report.html'}\n"


def test_what_is_no_run_is_named_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no run folder \(it has no run.json\)"):
        main([str(tmp_path)])


def test_without_a_folder_it_says_what_to_give() -> None:
    with pytest.raises(UserError, match="give the folder of a run"):
        main([])
