"""Sweeps that keep to a share of the time: what is left out, what never is, and that it is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.train.runs import rows
from train.run_record import RunFolder
from train.sweep_share import would_exceed


@pytest.mark.parametrize(("spent", "sweeps", "wall", "exceeds"), [
    (10.0, 1, 89.0, True),    # one more of 10 s would make 20 of 99 s
    (10.0, 1, 91.0, False),   # 20 of 101 s
    (30.0, 3, 190.0, False),  # 40 of 200 s are just 0.2
    (30.0, 3, 189.0, True)])
def test_the_share_with_one_more_sweep_by_hand(spent: float, sweeps: int, wall: float, exceeds: bool) -> None:
    assert would_exceed(spent, sweeps, wall, 0.2) == exceeds


@pytest.fixture(scope="module")
def hurried(here: Any) -> Path:
    """8 steps with a sweep due at each, which may take next to no time."""
    folder: Path = here("full", "sweep.every_steps=1", "sweep.max_share=0.0001", "export.enabled=false",
                        "trainer.save_steps=8")
    return folder


@pytest.mark.slow
def test_the_first_and_the_last_sweep_are_done_and_the_others_counted(hurried: Path) -> None:
    swept = sorted({row["step"] for row in rows(hurried / "sweeps.jsonl") if row["model"] == "run"})
    left_out = json.loads((hurried / "run.json").read_text())["sweeps_left_out"]
    assert (swept, left_out) == ([1, 8], {"max_share": 0.0001, "steps": [2, 3, 4, 5, 6, 7]})


@pytest.mark.slow
def test_the_report_says_so(hurried: Path) -> None:
    assert "6 (steps 2, 3, 4, 5, 6, 7), which would have taken more than 0.01 % of the time" in (
        hurried / "report.html").read_text()


@pytest.mark.slow
def test_without_a_share_every_sweep_is_done(full: Path) -> None:
    assert "sweeps_left_out" not in RunFolder(full).facts()
    assert sorted({row["step"] for row in rows(full / "sweeps.jsonl") if row["model"] == "run"}) == [4, 8]
