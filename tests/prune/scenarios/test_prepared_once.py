"""Traces are prepared once and every suite is read once, by the command and by a run.

Counted by what the process opens: the file of a suite, and the seal of the prepared set, which is read to verify it.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prune.__main__ import main
from recipes.loader import load_recipe
from runtime.ranks import ALONE
from runtime.run_folder import RunFolder
from runtime.seal import COMPLETE
from train.inputs import read_inputs
from train.model import pruned_path

OPENED: Counter[str] = Counter()
LISTENING: list[Path] = []


def _count(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and LISTENING and str(arguments[0]).startswith(str(LISTENING[0])):
        OPENED[Path(str(arguments[0])).name] += 1


@pytest.fixture(scope="module", autouse=True)
def _hook() -> None:
    sys.addaudithook(_count)  # which cannot be taken away again


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Counter[str]]:
    """How often a file below `tmp_path` was opened, by its name."""
    OPENED.clear()
    LISTENING.append(tmp_path)
    yield OPENED
    LISTENING.clear()


@pytest.fixture
def arguments(unpruned: Path, tmp_path: Path) -> list[str]:
    """A recipe with a suite in a file, whose pruning method measures."""
    (tmp_path / "suite.jsonl").write_text(json.dumps({"problem": "1 + 1?", "answer": "2"}) + "\n")
    return [
        "recipe=full_recovery.yaml",
        "sweep.confirm=null",
        f"model.unpruned={unpruned}",
        "prune.method=shortgpt",
        "prune.layers=1",
        "prune.calibration_traces=8",
        f"data.cache_dir={tmp_path / 'data'}",
        "data.traces.size=12",
        "sweep.suites=" + json.dumps([{"source": "jsonl", "name": "one", "path": str(tmp_path / "suite.jsonl")}]),
        "zero.stage=0",
    ]


def test_the_command_prepares_once(
    arguments: list[str], opened: Counter[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([*arguments, f"output={tmp_path / 'pruned'}"])
    assert (opened["suite.jsonl"], capsys.readouterr().out.count("prepared set made")) == (1, 1)


def test_a_run_measures_on_the_set_that_it_has_prepared(
    arguments: list[str], opened: Counter[str], tmp_path: Path
) -> None:
    recipe, folder = load_recipe(arguments).recipe, RunFolder(tmp_path / "run")
    inputs = read_inputs(recipe, ALONE)
    sealed = opened[COMPLETE]
    pruned_path(recipe, lambda: inputs.calibration(recipe.data), folder, ALONE)
    assert (opened["suite.jsonl"], opened[COMPLETE] - sealed) == (1, 0)


def test_a_run_that_selects_measures_on_traces_that_are_not_selected(arguments: list[str], tmp_path: Path) -> None:
    smaller = [argument.replace("data.traces.size=12", "data.traces.size=3") for argument in arguments]
    few = read_inputs(load_recipe(smaller).recipe, ALONE)  # stands for those selected
    scores = {"scores": str(tmp_path / "later.jsonl"), "count": 3}
    recipe = load_recipe([*arguments, f"data.select={json.dumps(scores)}"]).recipe
    pruned_path(recipe, lambda: few.calibration(recipe.data), RunFolder(tmp_path / "run"), ALONE)
    plan = json.loads((tmp_path / "run" / "pruned" / "prune_plan.json").read_text())
    assert plan["details"]["calibration_traces"] == 8
