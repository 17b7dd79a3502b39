"""A signal to stop, wherever it comes: exit code 75, nothing half done that counts, and the same run in the end."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from recipes.paths import ROOT
from runtime.seal import COMPLETE, damage_of
from tests.train.runs import SCRIPT, rows, same, small, untimed, weights
from tests.train.starts import completed, start_run, wait_until

pytestmark = pytest.mark.slow

# a sweep of some seconds, so that it can be met; a row a step, since a step that is saved has a row of its own anyway
LONG = (
    "zero.stage=0",
    "trainer.disable_tqdm=true",
    "sweep.suites.2.size=100",
    "sweep.engine.batch_size=8",
    "trainer.logging_steps=1",
)


def arguments(folder: Path, cache: Path) -> list[str]:
    return small("lora", folder, cache, *LONG)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """The run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert start_run(arguments(folder, cache)).end().code == 0
    return folder


def signalled(folder: Path, cache: Path, when: Callable[[], bool], *numbers: int) -> int:
    """The exit code of a start that gets the signals as soon as `when` holds."""
    start = start_run(arguments(folder, cache))
    wait_until(when)
    for number in numbers:
        start.send(number)
    return start.end().code


def test_a_second_start_is_refused_while_the_first_runs_and_the_first_ends(
    whole: Path, tmp_path: Path, cache: Path
) -> None:
    folder = tmp_path / "run"
    first = start_run(arguments(folder, cache))
    wait_until(lambda: (folder / "metrics.jsonl").exists())
    second = completed([SCRIPT, *arguments(folder, cache)], ROOT)
    assert (second.returncode, first.end().code) == (2, 0)
    assert f"run.dir={folder}: process {first.pid} on {socket.gethostname()} (since 20" in second.stderr
    assert untimed(folder / "metrics.jsonl") == untimed(whole / "metrics.jsonl")
    assert (folder / ".lock").read_text() == ""


def check_goes_on(folder: Path, cache: Path, whole: Path) -> None:
    assert start_run(arguments(folder, cache)).end().code == 0
    assert untimed(folder / "metrics.jsonl") == untimed(whole / "metrics.jsonl")
    assert untimed(folder / "sweeps.jsonl") == untimed(whole / "sweeps.jsonl")
    assert same(weights(folder / "checkpoint-8"), weights(whole / "checkpoint-8"))
    assert same(weights(folder / "export"), weights(whole / "export"))


def thoughts(folder: Path, step: int) -> int:
    """Lines that the journal of the chains' sweep has."""
    return sum(
        len(file.read_bytes().splitlines()) for file in folder.glob(f"samples/chain/run-{step:06d}.jsonl.journal-*")
    )


@pytest.mark.parametrize("step", [4, 8])  # in the middle, and after the last step
def test_in_a_sweep(step: int, whole: Path, tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "run"
    code = signalled(folder, cache, lambda: thoughts(folder, step) > 3, signal.SIGTERM, signal.SIGUSR1)
    assert code == 75
    assert (folder / f"checkpoint-{step}" / COMPLETE).is_file()
    assert damage_of(folder / f"checkpoint-{step}") == []
    assert 3 < thoughts(folder, step) < 65  # what was thought is kept, and not all was
    assert step not in {row["step"] for row in rows(folder / "sweeps.jsonl")}
    check_goes_on(folder, cache, whole)


def test_in_a_save_and_once_more(whole: Path, tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "run"
    code = signalled(folder, cache, (folder / "checkpoint-4").is_dir, signal.SIGUSR1, signal.SIGTERM, signal.SIGTERM)
    assert code == 75
    checkpoints = [mark.parent for mark in folder.glob(f"checkpoint-*/{COMPLETE}")]
    assert checkpoints
    assert [damage_of(checkpoint) for checkpoint in checkpoints] == [[]] * len(checkpoints)
    check_goes_on(folder, cache, whole)


def test_before_training(whole: Path, tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "run"
    assert signalled(folder, cache, (folder / "run.json").is_file, signal.SIGTERM) == 75
    assert list(folder.glob("checkpoint-*")) == []
    check_goes_on(folder, cache, whole)


def test_in_the_sweep_of_a_reference(tmp_path: Path) -> None:
    """What is thought is in a journal of the cache and is not thought again."""
    folder, cache = tmp_path / "run", tmp_path / "cache"

    def journal() -> list[bytes]:
        files = cache.glob("*/*/chain/unpruned-*.journal-*")
        return [line for file in files for line in file.read_bytes().splitlines()]

    assert signalled(folder, cache, lambda: len(journal()) > 3, signal.SIGTERM) == 75
    kept = {(row["problem"], row["sample"]) for row in map(json.loads, journal()[1:])}
    assert 2 < len(kept) < 64


def test_in_the_export(whole: Path, tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "run"
    assert signalled(folder, cache, (folder / ".export.partial").is_dir, signal.SIGTERM) == 75
    assert not (folder / "export").exists()
    check_goes_on(folder, cache, whole)
