"""A tracked run that is killed without a word: W&B has every row once when the run is done."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.train.runs import rows, small
from tests.train.starts import start_run, wait_until
from tests.train.wandb_files import Start, starts_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """Killed after step 6, with its checkpoint at step 4, then resumed."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    tracked = ("zero.stage=0", "export.enabled=false", "trainer.logging_steps=1", "wandb.mode=offline")
    arguments, metrics = small("lora", folder, cache, *tracked), folder / "metrics.jsonl"
    killed = start_run(arguments)
    wait_until(lambda: metrics.is_file() and len(metrics.read_text().splitlines()) >= 6)
    killed.send(signal.SIGKILL)
    assert killed.end().code == -signal.SIGKILL
    resumed = start_run(arguments)
    assert resumed.end().code == 0, resumed.errors.read_text()[-2000:]
    return folder


@pytest.fixture(scope="module")
def starts(folder: Path) -> list[Start]:
    return starts_of(folder)


@pytest.mark.slow
def test_every_step_is_there_once_and_in_order(folder: Path, starts: list[Start]) -> None:
    logged = [point for start in starts for point in start.curve("train/loss", "train/global_step")]
    assert [step for step, _ in logged] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert logged == [(row["step"], row["loss"]) for row in rows(folder / "metrics.jsonl")]


@pytest.mark.slow
def test_every_sweep_is_there_once(starts: list[Start]) -> None:
    assert [step for start in starts for step, _ in start.curve("recovery/level", "recovery/step")] == [4, 8]


@pytest.mark.slow
def test_the_references_are_there_once(starts: list[Start]) -> None:
    history = [row for start in starts for row in start.history()]
    assert [sum(f"reference/{model}/chain/level" in row for row in history) for model in ("unpruned", "pruned")] == [
        1,
        1,
    ]
