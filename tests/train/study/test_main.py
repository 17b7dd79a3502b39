"""`python -m train.study`: what is refused before anything is run, and a whole small study, resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.errors import UserError
from recipes.loader import load_as
from recipes.study import StudyRecipe
from runtime.seal import COMPLETE
from tests.train.runs import SMALL
from train.study.__main__ import main
from train.study.grid import arms_of, cells_of

RECIPE = "recipe=study.yaml"
STUDY = """
question: Does a small study run?
base: full_recovery.yaml
shared: [{shared}]
seeds: [1]
arms:
  full: {{title: every parameter}}
  lora: {{title: LoRA, keys: ["adapter={{method: lora, r: 4}}"]}}
pairs: [[full, lora]]
claims:
  more: {{kind: difference, arm: full, against: lora, number: level, expected: above}}
"""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([RECIPE], "out=DIR is missing"),
        ([RECIPE, "out=o", "jobs=0"], "jobs=0: must be a whole number above 0"),
        ([RECIPE, "out=o", "jobs=two"], "jobs=two: must be a whole number above 0"),
        ([RECIPE, "out=o", "plan=yes"], "plan=yes: must be true or false"),
        ([RECIPE, "out=o", "card=H100"], "card=H100: is only for an estimate; add plan=true"),
        ([RECIPE, "plan=true", "tokens_per_second=-1"], "tokens_per_second=-1: must be a number above 0"),
        ([RECIPE, "out=o", "seeds=[1, 1]"], "seeds must differ"),
        ([RECIPE, "out=o", "base=nowhere.yaml"], "base=nowhere.yaml: no such file"),
        ([RECIPE, "out=o", "shared=[prune.layer=1]"], "arm full-low: prune.layer"),
        ([RECIPE, "out=o", "ot=x"], "did you mean out"),
        (["recipe=full_recovery.yaml", "out=o"], "question"),
    ],
)
def test_what_cannot_work_is_refused(arguments: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        main(arguments)


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("all of it")
    with pytest.raises(UserError, match="contains something else"):
        main([RECIPE, f"out={tmp_path}"])
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("name", ["study.yaml", "study_qwen3.yaml", "study_qwen3_8b.yaml"])
def test_every_arm_of_a_shipped_study_loads(name: str, tmp_path: Path) -> None:
    loaded = load_as([f"recipe={name}"], StudyRecipe)
    names = {cell.arm.name for cell in cells_of(loaded, tmp_path)}
    assert {"full-high", "lora-middle", "distill", "on_policy", "cut_1", "cut_3", "unpruned_own"} <= names
    assert {arm.name for arm in arms_of(loaded.recipe)} >= names


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file: cannot be written"):
        main([RECIPE, f"out={tmp_path / 'file'}"])


@pytest.mark.slow
def test_a_study_runs_once_and_a_killed_cell_resumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = dict(pair.split("=", 1) for pair in SMALL)
    small |= {"trainer.max_steps": "2", "trainer.save_steps": "1", "sweep.every_steps": "2", "zero.stage": "0"}
    small |= {"sweep.budgets": '"[8, 64]"', "export.enabled": "false"}
    shared = ", ".join(
        f"{key}={value}" if '"' not in value else f'"{key}={value[1:-1]}"' for key, value in small.items()
    )
    (tmp_path / "small.yaml").write_text(STUDY.format(shared=shared))
    arguments = [f"recipe={tmp_path / 'small.yaml'}", f"out={tmp_path / 'out'}", "jobs=2"]
    assert main(arguments) == 0
    page = (tmp_path / "out" / "study.md").read_text()
    assert "with 2 trainings of 2 arms" in page and (tmp_path / "out" / "study.html").is_file()
    full, lora = (tmp_path / "out" / "cells" / name / "1" for name in ("full", "lora"))
    written = (lora / "sweeps.jsonl").stat().st_mtime_ns
    _as_if_killed_after_step_1(full)
    capsys.readouterr()
    assert main(arguments) == 0
    assert "2 cells, 1 finished before" in capsys.readouterr().out
    assert (lora / "sweeps.jsonl").stat().st_mtime_ns == written  # not started again
    assert '"from_step": 1' in (full / "run.json").read_text()


def _as_if_killed_after_step_1(folder: Path) -> None:
    (folder / "checkpoint-2" / COMPLETE).unlink()
    record = (folder / "run.json").read_text()
    (folder / "run.json").write_text(record.replace('"finished"', '"was"'))
