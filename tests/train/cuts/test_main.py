"""`python -m train.cuts`: what is refused before anything is loaded, and a whole comparison."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.errors import UserError
from train.cuts.__main__ import main

RECIPE = "recipe=full_recovery.yaml"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "out=DIR is missing"),
        (["out=o", "methods=tail,width"], "methods=tail,width: must be distinct ones of tail, shortgpt"),
        (["out=o", "methods=tail,tail"], "must be distinct ones"),
        (["out=o", "layers=0"], "layers=0: must be distinct whole numbers of at least 1"),
        (["out=o", "layers=1,1"], "must be distinct whole numbers"),
        (["out=o", "layers=two"], "must be distinct whole numbers"),
        (["out=o", "train_steps=-1"], "train_steps=-1: must be a whole number"),
        (["out=o", "page=nowhere.md"], "page=nowhere.md: no such file"),
        (["out=o", "methods=tail", "layers=1,8"], "8 of 8 layers would be removed"),
        (["out=o", "methods=laco", "layers=1", "prune=null"], "give either model.pruned"),
    ],
)
def test_what_cannot_work_is_refused(arguments: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        main([RECIPE, *arguments])


@pytest.mark.slow
def test_every_cut_is_swept_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = [f"sweep.suites.{place}.size=8" for place in range(3)]
    arguments = [
        *(RECIPE, f"out={tmp_path}", "methods=tail,laco", "layers=1", *sizes, "sweep.budgets=[4, 8]"),
        *("sweep.confirm=null", "data.traces.size=20", f"data.cache_dir={tmp_path / 'data'}"),
    ]
    main(arguments)
    written = (tmp_path / "cuts.md").read_text()
    assert [line.split(" | ")[0] for line in written.splitlines()[2:4]] == ["| unpruned", "| tail"]
    assert written in capsys.readouterr().out
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    main(arguments)  # everything is there
    assert (tmp_path / "cuts.md").read_text() == written
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == made
    assert len(made) == 2
