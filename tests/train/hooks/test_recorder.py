"""What a sweep becomes: rows with their cost, at the share of the error that its step may spend."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eval.numbers.sequences import sweep_error
from eval.types import Score, SuiteSweep
from recipes.sweep import VerdictSection
from runtime.files import read_rows
from runtime.ranks import ALONE
from tests.train.runs import run_in
from train.hooks.recorder import Cost, Looks, SweepRecorder
from train.references import References

BUDGETS = (16, 32)


def sweep(model: Any, step: int) -> SuiteSweep:
    """Four problems, of which two are right at the larger budget."""
    scores = [
        Score(f"p{n}", 0, budget, n < 2 and budget == 32, "", "", budget, 1, True, False, False)
        for n in range(4)
        for budget in BUDGETS
    ]
    return SuiteSweep(model, step, "chain", BUDGETS, tuple(scores), "protocol")


def recorder(folder: Path, ranks: Any = ALONE) -> SweepRecorder:
    references = References({"chain": sweep("unpruned", 0)}, {"chain": sweep("pruned", 0)})
    return SweepRecorder(run_in(folder, ranks), references, VerdictSection(suite="chain"), Looks(2, 8))


def test_a_sweep_that_was_not_timed_has_null_seconds(tmp_path: Path) -> None:
    recorder(tmp_path).record({"chain": sweep("pruned", 0)}, Cost())
    rows = read_rows(tmp_path / "sweeps.jsonl")
    assert {(row["seconds"], row["peak_memory_bytes"]) for row in rows} == {(None, None)}


def test_the_rows_of_a_timed_sweep_say_what_it_took(tmp_path: Path) -> None:
    recorder(tmp_path).record({"chain": sweep("run", 2)}, Cost(1.23456, 5))
    rows = read_rows(tmp_path / "sweeps.jsonl")
    assert {(row["seconds"], row["peak_memory_bytes"]) for row in rows} == {(1.235, 5)}


def test_a_sweep_that_is_done_again_takes_the_place_of_its_rows(tmp_path: Path) -> None:
    for seconds in (1.0, 2.0):
        recorder(tmp_path).record({"chain": sweep("run", 2)}, Cost(seconds))
    assert [row["seconds"] for row in read_rows(tmp_path / "sweeps.jsonl")] == [2.0] * 3


def test_rows_are_clustered_by_the_groups_of_the_suite(tmp_path: Path) -> None:
    groups = {"p0": "x", "p1": "x", "p2": "y", "p3": "y"}
    recorder(tmp_path).record({"chain": replace(sweep("run", 2), groups=groups)}, Cost())
    assert {row["groups"] for row in read_rows(tmp_path / "sweeps.jsonl")} == {2}


def test_only_the_first_rank_writes(tmp_path: Path) -> None:
    recorder(tmp_path, replace(ALONE, rank=1, count=2)).record({"chain": sweep("run", 2)}, Cost())
    assert not (tmp_path / "sweeps.jsonl").exists()


@pytest.mark.parametrize(("step", "due"), [(0, False), (1, False), (2, True), (7, False), (8, True), (9, True)])
def test_sweeps_are_due_every_second_step_and_at_the_end(step: int, due: bool) -> None:
    assert Looks(2, 7 if step == 9 else 8).is_due(step) is due


def test_the_error_is_that_of_the_step_among_all(tmp_path: Path) -> None:
    assert Looks(2, 8).error_at(4) == sweep_error(4, 2, 8)
