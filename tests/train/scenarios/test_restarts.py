"""A run stopped and started in a row, its cache emptied while it runs, gives what an undisturbed run gives."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from runtime.seal import COMPLETE
from tests.train.runs import same, small, untimed, weights
from tests.train.starts import start_run, wait_until
from train.exits import PREEMPTED

RESTARTS = 5


def arguments(folder: Path, cache: Path, restarts: int) -> list[str]:
    return small(
        "lora",
        folder,
        cache,
        "zero.stage=0",
        "trainer.disable_tqdm=true",
        "export.enabled=false",
        f"trainer.max_steps={2 * restarts}",
        "trainer.save_steps=1",
        "trainer.logging_steps=1",
        "trainer.save_total_limit=2",
        f"sweep.every_steps={restarts}",
    )


def newest(folder: Path) -> int:
    """The step of the newest complete checkpoint; 0 without one."""
    return max((int(mark.parent.name.split("-")[1]) for mark in folder.glob(f"checkpoint-*/{COMPLETE}")), default=0)


def restarted(given: list[str], folder: Path, cache: Path, restarts: int) -> list[int]:
    """The exit codes of so many starts, each stopped when it has saved a step more, and of the last, which ends; the
    cache is emptied under the first."""
    codes = []
    for number in range(restarts):
        before, start = newest(folder), start_run(given)
        wait_until(lambda start=start, before=before: newest(folder) > before or not start.lives())
        if number == 0:
            shutil.rmtree(cache)
        start.send(signal.SIGTERM)
        codes.append(start.end().code)
    return [*codes, start_run(given).end().code]


def check_restarts(folder: Path, restarts: int) -> None:
    cache = folder / "cache"
    assert start_run(arguments(folder / "whole", cache, restarts)).end().code == 0
    codes = restarted(arguments(folder / "run", cache, restarts), folder / "run", cache, restarts)
    # a start may get further than a step before it hears the signal, so the run may end a start earlier
    assert set(codes) == {PREEMPTED, 0} and codes[:2] == [PREEMPTED] * 2
    last = f"checkpoint-{2 * restarts}"
    assert same(weights(folder / "run" / last), weights(folder / "whole" / last))
    for rows in ("metrics.jsonl", "sweeps.jsonl"):
        assert untimed(folder / "run" / rows) == untimed(folder / "whole" / rows)


@pytest.mark.slow
def test_restarts_in_a_row_and_an_emptied_cache_change_nothing(tmp_path: Path) -> None:
    check_restarts(tmp_path, RESTARTS)
