"""How a run ends that cannot go on: a rank that dies, a rank that hangs, a disk that is full."""

from __future__ import annotations

import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.seal import COMPLETE, damage_of
from tests.train.conftest import cut_back
from tests.train.runs import SCRIPT, free_port, ours, run_here, small
from tests.train.starts import Start, start_rank, start_run, wait_until
from train.exits import disk_fault

ENDLESS = (
    "trainer.max_steps=4000",
    "trainer.save_steps=4000",
    "sweep.every_steps=4000",
    "trainer.per_device_train_batch_size=4",
    "trainer.logging_steps=1",
    "trainer.disable_tqdm=true",
    "run.stall_seconds=12",
)

Pair = tuple[Start, Start]


@pytest.fixture
def training(tmp_path: Path, cache: Path) -> Iterator[Callable[..., Pair]]:
    """Starts two ranks that train by the time they are given."""
    started: list[Start] = []

    def start() -> Pair:
        port, arguments = free_port(), small("lora", tmp_path / "run", cache, *ENDLESS)
        started.extend(start_rank(rank, port, [SCRIPT, *arguments], tmp_path) for rank in (0, 1))
        wait_until(
            lambda: (
                (tmp_path / "run" / "metrics.jsonl").is_file()
                and '"step": 3' in (tmp_path / "run" / "metrics.jsonl").read_text()
            )
        )
        return started[0], started[1]

    yield start
    for rank in started:
        rank.send(signal.SIGKILL)
        rank.end()


@pytest.mark.slow
def test_a_rank_that_dies_ends_the_run_with_one_message_that_names_its_log(
    training: Callable[..., Pair], tmp_path: Path
) -> None:
    first, second = training()
    second.send(signal.SIGKILL)
    assert first.end(seconds=30).code == 1
    said = [line for line in ours(first.errors.read_text()) if "died" in line or "Error" in line]
    log = tmp_path / "run" / "logs" / "rank-1.log"
    assert said == [
        f"rank 1 has died, its own log is {log}; the run ends; the same command resumes from the last "
        "complete checkpoint"
    ]


@pytest.mark.slow
def test_a_rank_that_hangs_is_found_by_the_time_limit_and_named(training: Callable[..., Pair], tmp_path: Path) -> None:
    first, second = training()
    second.send(signal.SIGSTOP)
    assert first.end(seconds=60).code == 1
    said = first.errors.read_text()
    logs = tmp_path / "run" / "logs"
    assert "no save for 12 s (run.stall_seconds)" in said
    assert f"rank 1 is silent, its own log is {logs / 'rank-1.log'}" in said
    assert "Thread 0x" in (logs / "rank-0.log").read_text()  # the stacks


@pytest.mark.slow
def test_a_full_disk_is_said_and_the_last_complete_checkpoint_stays(full: Path, cache: Path, tmp_path: Path) -> None:
    """A limit on the size of a file that the weights are below and the optimizer's state is above."""
    folder = cut_back(full, tmp_path / "run", 4)
    shutil.rmtree(folder / "checkpoint-8")
    most_bytes = (folder / "checkpoint-4" / "model.safetensors").stat().st_size * 3 // 2
    arguments = small("full", folder, cache, "zero.stage=0")
    start = start_run(arguments)
    resource.prlimit(start.pid, resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    assert start.end().code == 1
    said = start.errors.read_text()
    assert "Traceback" not in said
    first, second = [line for line in ours(said) if "could not be written" in line or "last complete" in line]
    assert f"run.dir={folder}: a file could not be written" in first and "bytes are free there" in first
    assert second == (
        f"the last complete checkpoint is {folder / 'checkpoint-4'}, untouched; free some space "
        "and run the same command to resume"
    )
    assert [mark.parent.name for mark in folder.glob(f"checkpoint-*/{COMPLETE}")] == ["checkpoint-4"]
    assert damage_of(folder / "checkpoint-4") == []
    assert not (folder / "checkpoint-8").exists()
    assert run_here(arguments) == 0


def test_the_systems_word_for_a_full_disk_is_found_in_what_libraries_wrap_it_in() -> None:
    outer = RuntimeError("saving failed")
    outer.__cause__ = OSError(28, "No space left on device", "/data/file")
    assert disk_fault(outer) == "No space left on device: /data/file"
    assert disk_fault(ValueError("I/O error: No space left on device (os error 28)")) == "No space left on device"
    assert disk_fault(OSError(13, "Permission denied")) is None
