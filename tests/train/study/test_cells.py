"""Cells side by side: what is finished is not run again, what fails stops nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recipes.errors import UserError
from recipes.loader import Loaded
from recipes.paths import ROOT
from recipes.study import StudyRecipe
from train.study import cells as running
from train.study.cells import Slot, command_of, is_finished, log_of, recipe_of, run_cells, slots
from train.study.grid import Cell, cells_of

FINISHES = """
import json, pathlib, sys, yaml
recipe = yaml.safe_load(open(sys.argv[1].removeprefix("recipe=")))
folder = pathlib.Path(recipe["run"]["dir"])
if recipe["seed"] == 2:
    print("no memory")
    raise SystemExit(3)
folder.mkdir(parents=True)
(folder / "run.json").write_text(json.dumps({"recipe": recipe, "finished": "now"}))
"""


def two(out: Path, *keys: str) -> list[Cell]:
    study: dict[str, Any] = {"question": "Why?", "base": "full_recovery.yaml", "seeds": [1, 2], "shared": list(keys)}
    recipe = StudyRecipe.model_validate({**study, "arms": {"a": {"title": "a"}}})
    return cells_of(Loaded(recipe, "study", Path("study.yaml"), ()), out)


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "script.py"
    file.write_text(FINISHES)
    monkeypatch.setattr(running, "SCRIPT", file)
    return file


def test_a_failed_cell_is_named_and_the_others_go_on(
    script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = two(tmp_path)
    ended = {outcome.cell.seed: outcome for outcome in run_cells([second, first], [Slot(None, 1)])}
    assert (ended[1].code, ended[2].code, ended[2].said) == (0, 3, "no memory")
    assert f"a, seed 2 FAILED with code 3 ({log_of(second)}): no memory" in capsys.readouterr().out
    assert is_finished(first) and not is_finished(second)


def test_a_process_that_ends_well_without_finishing_has_failed(script: Path, tmp_path: Path) -> None:
    script.write_text("print('dry run')")
    (outcome,) = run_cells(two(tmp_path)[:1], [Slot(None, 1)])
    assert (outcome.code, outcome.said) == (1, "dry run")


def test_a_cell_gets_its_gpu_or_its_threads(script: Path, tmp_path: Path) -> None:
    script.write_text("import os; print(os.environ.get('CUDA_VISIBLE_DEVICES'), os.environ.get('OMP_NUM_THREADS'))")
    first, second = two(tmp_path)
    assert run_cells([first], [Slot("5", 0)])[0].said.split()[0] == "5"
    assert run_cells([second], [Slot(None, 3)])[0].said.split()[1] == "3"


def test_the_recipe_of_a_cell_lies_beside_its_folder(script: Path, tmp_path: Path) -> None:
    (cell,) = two(tmp_path)[:1]
    run_cells([cell], [Slot(None, 1)])
    assert recipe_of(cell) == tmp_path / "cells" / "a" / "1.yaml" and recipe_of(cell).is_file()


def test_a_finished_cell_of_another_recipe_is_refused(script: Path, tmp_path: Path) -> None:
    run_cells(two(tmp_path)[:1], [Slot(None, 1)])
    with pytest.raises(
        UserError, match=r"finished with another recipe \(prune: .*layers: 2.* before, .*layers: 1.* now"
    ):
        is_finished(two(tmp_path, "prune.layers=1")[0])


def test_where_files_are_makes_no_other_run(script: Path, tmp_path: Path) -> None:
    run_cells(two(tmp_path / "old")[:1], [Slot(None, 1)])
    (tmp_path / "old").rename(tmp_path / "new")
    assert is_finished(two(tmp_path / "new", "wandb.mode=disabled")[0])


def test_a_cell_that_was_killed_is_not_finished(tmp_path: Path) -> None:
    (cell,) = two(tmp_path)[:1]
    cell.folder.mkdir(parents=True)
    (cell.folder / "run.json").write_text(json.dumps({"recipe": cell.recipe.model_dump(mode="json")}))
    assert not is_finished(cell)


STOPPED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from tests.train.study.test_cells import two
from train.study import cells, __main__
import signal
cells.SCRIPT = Path(sys.argv[1])
signal.signal(signal.SIGTERM, __main__._stop)
cells.run_cells(two(Path(sys.argv[2]))[:1], [cells.Slot(None, 1)])
"""
WAITS = """
import os, signal, sys
def save(*_):
    print("saved", flush=True)
    sys.exit(75)
signal.signal(signal.SIGTERM, save)
os.kill(os.getppid(), signal.SIGTERM)  # the study is asked to stop, and asks its cells
signal.pause()
"""


@pytest.mark.slow
def test_a_study_that_is_asked_to_stop_asks_its_cells(script: Path, tmp_path: Path) -> None:
    script.write_text(WAITS)
    (tmp_path / "study.py").write_text(STOPPED)
    ended = subprocess.run(
        [sys.executable, tmp_path / "study.py", script, tmp_path, ROOT], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, log_of(two(tmp_path)[0]).read_text()) == (75, "saved\n"), ended.stderr


TWO_RANKS = """
import os, signal, sys
def save(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    said = f"saved {os.environ['RANK']} of {os.environ['WORLD_SIZE']}\\n"
    os.write(1, said.encode())  # in one piece: both ranks write into one log
    sys.exit(75)
signal.signal(signal.SIGTERM, save)
if os.environ["RANK"] == "0":
    open(os.environ["MEET"], "rb").read()  # until the other rank is as far
    os.kill(int(os.environ["STUDY"]), signal.SIGTERM)
else:
    open(os.environ["MEET"], "wb").close()
signal.pause()
"""


@pytest.mark.slow
def test_a_cell_of_two_gpus_has_two_ranks_that_are_asked_to_stop(script: Path, tmp_path: Path) -> None:
    """On CPUs, of which DeepSpeed counts one for each node that `numactl` names."""
    (tmp_path / "numactl").write_text(
        "#!/bin/sh\necho 'available: 2 nodes'\necho 'node 0 cpus: 0'\necho 'node 1 cpus: 1'\n"
    )
    (tmp_path / "numactl").chmod(0o755)
    script.write_text(TWO_RANKS)
    os.mkfifo(tmp_path / "meet")
    study = STOPPED.replace("Slot(None, 1)", "Slot('0,1', 0)")
    (tmp_path / "study.py").write_text(f"import os; os.environ['STUDY'] = str(os.getpid()){study}")
    ended = subprocess.run(
        [sys.executable, tmp_path / "study.py", script, tmp_path, ROOT],
        env={
            **os.environ,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "MEET": str(tmp_path / "meet"),
            "DS_ACCELERATOR": "cpu",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = [line for line in log_of(two(tmp_path)[0]).read_text().splitlines() if line.startswith("saved")]
    assert (ended.returncode, sorted(said)) == (75, ["saved 0 of 2", "saved 1 of 2"]), ended.stderr


@pytest.mark.parametrize(
    ("gpus", "expected"),
    [
        (["0", "1", "2", "3", "4"], [Slot("0,1", 0), Slot("2,3", 0)]),
        (["4", "6"], [Slot("4,6", 0)]),
    ],
)
def test_a_cell_may_take_several_gpus(gpus: list[str], expected: list[Slot]) -> None:
    assert slots(None, gpus, 8, of_a_cell=2) == expected


def test_a_cell_of_several_gpus_is_started_by_the_launcher_with_a_port_of_its_own(tmp_path: Path) -> None:
    (cell,) = two(tmp_path)[:1]
    place = Slot("0,1", 0)
    (program, *module, _, port), run = command_of(cell, place)[:-2], command_of(cell, place)[-2:]
    assert (program, module) == (sys.executable, ["-m", "deepspeed.launcher.runner"]) and 1024 <= int(port) < 65536
    assert run == command_of(cell, Slot("0", 0))[1:]


def test_more_gpus_for_a_cell_than_there_are_is_refused() -> None:
    with pytest.raises(UserError, match="gpus=8: a cell would take 8 GPUs, but only 2 are visible"):
        slots(None, ["0", "1"], 8, of_a_cell=8)
    with pytest.raises(UserError, match="jobs=2: there are 3 GPUs, and a cell takes 2; use at most 1"):
        slots(2, ["0", "1", "2"], 8, of_a_cell=2)


@pytest.mark.parametrize(
    ("jobs", "gpus", "cores", "expected"),
    [
        (None, ["0", "1"], 8, [Slot("0", 0), Slot("1", 0)]),
        (1, ["0", "1"], 8, [Slot("0", 0)]),
        (None, [], 2, [Slot(None, 1)] * 2),
        (2, [], 8, [Slot(None, 4)] * 2),
        (3, [], 2, [Slot(None, 1)] * 3),
    ],
)
def test_where_cells_run(jobs: int | None, gpus: list[str], cores: int, expected: list[Slot]) -> None:
    assert slots(jobs, gpus, cores) == expected


def test_more_jobs_than_gpus_are_refused() -> None:
    with pytest.raises(UserError, match="jobs=3: there are 2 GPUs, and a cell takes one"):
        slots(3, ["0", "1"], 8)
