"""The record of training: what a row says, and that writing one does not depend on how many there are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from data_prep.prepared.store import StoredRows
from recipes.guard import GuardSection
from runtime.files import read_rows
from runtime.ranks import ALONE
from tests.train.runs import run_in
from train.guard import Guard
from train.hooks.metrics import Clock, MetricsHook, finite_or_none
from train.speed import Speedometer


@pytest.fixture
def hook(tmp_path: Path) -> MetricsHook:
    run = run_in(tmp_path)
    rows: StoredRows | None = None  # the guard looks traces up only where a step is bad
    return MetricsHook(run, Clock(), Guard(GuardSection(), rows, run.folder, ALONE), Speedometer(6.0, None))  # type: ignore[arg-type]


def log(hook: MetricsHook, step: int, **logs: float) -> None:
    hook.on_log(TrainingArguments(), TrainerState(global_step=step), TrainerControl(), logs)


def test_a_row_has_the_tokens_since_the_row_before(hook: MetricsHook) -> None:
    log(hook, 1, loss=2.0, num_tokens=100)
    log(hook, 2, loss=1.5, num_tokens=260)
    rows = read_rows(hook.run.folder.metrics)
    assert [(row["step"], row["loss"], row["tokens"]) for row in rows] == [(1, 2.0, 100), (2, 1.5, 160)]


def test_seconds_of_sweeps_are_not_those_of_training(hook: MetricsHook) -> None:
    hook.clock.sweep_seconds = 1000.0
    log(hook, 1, loss=2.0)
    (row,) = read_rows(hook.run.folder.metrics)
    assert (row["sweep_seconds"], row["seconds"] <= -999.0) == (1000.0, True)


def test_skipped_steps_are_counted(hook: MetricsHook) -> None:
    hook.guard.skipped_steps = [3, 5]
    log(hook, 6, loss=2.0)
    assert read_rows(hook.run.folder.metrics)[0]["skipped_steps"] == 2


def test_the_rows_before_are_not_written_again(hook: MetricsHook) -> None:
    """The file stays the same one: a row is added at its end."""
    log(hook, 1, loss=2.0)
    before = os.stat(hook.run.folder.metrics).st_ino
    log(hook, 2, loss=1.5)
    assert os.stat(hook.run.folder.metrics).st_ino == before


@pytest.mark.parametrize(
    ("value", "written"), [(1.5, 1.5), (3, 3), (float("nan"), None), (float("inf"), None), (float("-inf"), None)]
)
def test_what_json_does_not_know_is_null(value: float, written: float | None) -> None:
    assert finite_or_none(value) == written


def test_a_row_says_how_fast_it_was_and_what_memory_it_took(hook: MetricsHook) -> None:
    hook.clock.last -= 10.0
    log(hook, 1, loss=2.0, num_tokens=1000)
    (row,) = read_rows(hook.run.folder.metrics)
    assert row["tokens_per_second"] == pytest.approx(1000 / row["seconds"], rel=1e-3)
    assert (row["mfu"], row["memory_allocated_bytes"], row["memory_reserved_bytes"]) == (None, None, None)
