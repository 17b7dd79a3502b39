"""Killed at random points, in saves and in sweeps, again and again: each start goes on from the newest complete
checkpoint, and what comes out in the end is to the bit what an uninterrupted run gives."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from threading import Event

import pytest

from eval.numbers.summary import totals
from runtime.seal import COMPLETE, damage_of
from tests.train.runs import rows, same, small, untimed, weights
from tests.train.starts import Start, start_run

pytestmark = pytest.mark.slow

KILLS, KILLED = 30, (-27, -9)  # SIGPROF without a handler, SIGKILL
AIMS = ("at random", "at random", "in a save", "in a sweep")
EARLIEST_SECONDS, LATEST_SECONDS = 0.5, 2.6  # of CPU: from reading the inputs to the last sweep
QUICK = (
    "zero.stage=0",
    "trainer.disable_tqdm=true",
    "export.enabled=false",
    "trainer.save_steps=1",
    "trainer.logging_steps=1",
    "trainer.save_total_limit=3",
    "keep_best=sweep/chain/accuracy",
)


def arguments(folder: Path, cache: Path) -> list[str]:
    return small("lora", folder, cache, *QUICK)


def newest(folder: Path) -> int:
    """The step of the newest complete checkpoint; 0 without one."""
    return max((int(mark.parent.name.split("-")[1]) for mark in folder.glob(f"checkpoint-*/{COMPLETE}")), default=0)


def test_killed_runs_end_as_if_they_had_never_been(cache: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    assert start_run(arguments(whole, cache)).end().code == 0
    draw, kills, in_a_save, in_a_sweep, number = random.Random(5), 0, 0, 0, 0
    while kills < KILLS:
        number, expected = number + 1, []
        folder = tmp_path / f"killed-{number}"
        while (start := start_and_kill(folder, cache, (AIMS[kills % len(AIMS)], draw))).end().code != 0:
            assert start.end().code in KILLED, start.errors.read_text()[-2000:]
            kills += 1
            expected.append(newest(folder))
            in_a_save += bool(unmarked(folder))
            in_a_sweep += bool(journals(folder))
        check_the_same(folder, whole)
        started_from = [start["from_step"] for start in json.loads((folder / "run.json").read_text())["starts"]]
        assert started_from[-1] == (expected or [0])[-1]
        shutil.rmtree(folder)
    assert in_a_save > 0 and in_a_sweep > 0


def start_and_kill(folder: Path, cache: Path, aim: tuple[str, random.Random]) -> Start:
    """A start that is killed after a random time, or in its first save or sweep where it has one."""
    where, draw = aim
    if where == "at random":
        return start_run(arguments(folder, cache), draw.uniform(EARLIEST_SECONDS, LATEST_SECONDS))
    files, began, pause = (unmarked if where == "in a save" else journals), time.time(), Event()
    start = start_run(arguments(folder, cache))
    while start.lives():
        if any(is_written_since(each, began) for each in files(folder)):
            start.send(signal.SIGKILL)
            break
        pause.wait(0.001)
    return start


def unmarked(folder: Path) -> list[Path]:
    """Files of checkpoints that are not complete; a checkpoint that goes away meanwhile has none."""
    found: list[Path] = []
    for checkpoint in folder.glob("checkpoint-*"):
        with suppress(FileNotFoundError):
            found += [] if (checkpoint / COMPLETE).is_file() else list(checkpoint.iterdir())
    return found


def journals(folder: Path) -> list[Path]:
    return list(folder.glob("samples/*/run-*.journal-*"))


def is_written_since(file: Path, moment: float) -> bool:
    try:
        return file.stat().st_mtime > moment
    except FileNotFoundError:
        return False


def check_the_same(folder: Path, whole: Path) -> None:
    """Losses, sweeps and weights to the bit, tokens and steps counted once, no damage, the same checkpoints kept."""
    assert untimed(folder / "metrics.jsonl") == untimed(whole / "metrics.jsonl")
    assert untimed(folder / "sweeps.jsonl") == untimed(whole / "sweeps.jsonl")
    assert same(weights(folder / "checkpoint-8"), weights(whole / "checkpoint-8"))
    assert [row["step"] for row in rows(folder / "metrics.jsonl")] == list(range(1, 9))
    assert totals(rows(folder / "metrics.jsonl"))["tokens"] == totals(rows(whole / "metrics.jsonl"))["tokens"]
    kept = [sorted(mark.parent.name for mark in each.glob(f"checkpoint-*/{COMPLETE}")) for each in (folder, whole)]
    assert kept[0] == kept[1]
    assert [damage_of(folder / name) for name in kept[0]] == [[]] * len(kept[0])
