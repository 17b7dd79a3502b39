"""Sweeps that keep to a share of the time: what is left out, what never is, and that it is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runtime.files import write_rows
from runtime.ranks import Ranks
from runtime.run_folder import RunFolder
from tests.runtime.threads import together
from tests.train.runs import rows, run_in
from train.hooks.sweep import Sweeps
from train.hooks.sweep_share import SweepsWithinShare, would_exceed


@pytest.mark.parametrize(
    ("spent", "sweeps", "wall", "exceeds"),
    [
        (10.0, 1, 89.0, True),  # one more of 10 s would make 20 of 99 s
        (10.0, 1, 91.0, False),  # 20 of 101 s
        (30.0, 3, 190.0, False),  # 40 of 200 s are just 0.2
        (30.0, 3, 189.0, True),
    ],
)
def test_the_share_with_one_more_sweep_by_hand(spent: float, sweeps: int, wall: float, exceeds: bool) -> None:
    assert would_exceed(spent, sweeps, wall, 0.2) == exceeds


class Steps(Sweeps):
    """Sweeps that take no time and leave nothing but their steps."""

    def __init__(self) -> None:
        self.done: list[int] = []

    def sweep(self, step: int) -> None:
        self.done.append(step)


@pytest.mark.parametrize(("sweep_seconds", "done", "left_out"), [(30, [8], [2, 4, 6]), (20, [6, 8], [2, 4])])
def test_a_resumed_run_goes_on_with_its_clock_and_its_record(
    sweep_seconds: int, done: list[int], left_out: list[int], tmp_path: Path
) -> None:
    """With 100 s of training before and one sweep of 30 s another makes 60 of 160 s; with one of 20 s 40 of 140 s."""
    (tmp_path / "metrics.jsonl").write_text(
        json.dumps({"step": 4, "tokens": 1, "seconds": 100, "sweep_seconds": sweep_seconds}) + "\n"
    )
    (tmp_path / "sweeps.jsonl").write_text(json.dumps({"step": 1, "model": "run"}) + "\n")
    run = run_in(tmp_path)
    run.folder.add_facts({"sweeps_left_out": {"max_share": 0.3, "steps": [2, 4, 6, 7]}})  # 6 and 7 are done again
    inner = Steps()
    sweeps = SweepsWithinShare(inner, run, 8, 0.3)
    sweeps.begin(4)
    for step in (6, 8):
        sweeps.sweep(step)
    assert (inner.done, run.folder.facts()["sweeps_left_out"]["steps"]) == (done, left_out)


def test_a_rank_that_sees_older_files_does_as_the_first(tmp_path: Path) -> None:
    """Rank 1 knows of no sweep before, as over a network file system that lags; alone it would begin one."""
    first = RunFolder(tmp_path / "0")
    write_rows(first.metrics, [{"step": 4, "tokens": 1, "seconds": 100, "sweep_seconds": 90}])
    write_rows(first.sweeps, [{"step": 1, "model": "run"}])

    def swept(ranks: Ranks) -> list[int]:
        inner = Steps()
        sweeps = SweepsWithinShare(inner, run_in(tmp_path / str(ranks.rank), ranks), 8, 0.3)
        sweeps.begin(4)
        sweeps.sweep(6)
        return inner.done

    assert together(swept) == [[], []]


@pytest.fixture(scope="module")
def hurried(here: Any) -> Path:
    """8 steps with a sweep due at each, which may take next to no time."""
    folder: Path = here(
        "full",
        "sweep.every_steps=1",
        "sweep.max_share=0.0001",
        "export.enabled=false",
        "trainer.save_steps=8",
        "run.report=end",
    )
    return folder


@pytest.mark.slow
def test_the_first_and_the_last_sweep_are_done_and_the_others_counted(hurried: Path) -> None:
    swept = sorted({row["step"] for row in rows(hurried / "sweeps.jsonl") if row["model"] == "run"})
    left_out = json.loads((hurried / "run.json").read_text())["sweeps_left_out"]
    assert (swept, left_out) == ([1, 8], {"max_share": 0.0001, "steps": [2, 3, 4, 5, 6, 7]})


@pytest.mark.slow
def test_the_report_says_so(hurried: Path) -> None:
    assert (
        "6 (steps 2, 3, 4, 5, 6, 7), which would have taken more than 0.01 % of the time"
        in (hurried / "report.html").read_text()
    )


@pytest.mark.slow
def test_without_a_share_every_sweep_is_done(full: Path) -> None:
    assert "sweeps_left_out" not in RunFolder(full).facts()
    assert sorted({row["step"] for row in rows(full / "sweeps.jsonl") if row["model"] == "run"}) == [4, 8]
