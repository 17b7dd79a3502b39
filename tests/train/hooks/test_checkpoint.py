"""Checkpoints in training: what is saved again, what is dropped, and when the best one is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from recipes.sweep import VerdictSection
from runtime.files import write_rows
from runtime.ranks import ALONE
from runtime.seal import COMPLETE
from tests.train.runs import run_in
from train.checkpoints import Kept
from train.hooks.checkpoint import CheckpointHook
from train.hooks.preemption import PreemptionHook
from train.hooks.recorder import Looks, SweepRecorder
from train.hooks.sweep import SweepHook, Sweeps
from train.references import References
from train.run import Run

BEST = "sweep/chain/gain"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Sweeps at steps 1 to 3, of which the second is the best."""
    run = run_in(tmp_path)
    gains = {1: 0.1, 2: 0.3, 3: 0.2}
    rows = [
        {"step": step, "model": "run", "suite": "chain", "budget": None, "gain_per_doubling": gain}
        for step, gain in gains.items()
    ]
    write_rows(run.folder.sweeps, rows)
    return run


def hook_of(run: Run, kept: Kept, swept_step: int | None = None) -> CheckpointHook:
    recorder = SweepRecorder(run, References({}, {}), VerdictSection(suite="chain"), Looks(1, 8))
    sweeps = SweepHook(Sweeps(), recorder, PreemptionHook(ALONE))
    sweeps.swept_step = swept_step
    return CheckpointHook(run, kept, sweeps)


def saves(hook: CheckpointHook, step: int, asked: bool = False) -> bool:
    control = TrainerControl(should_save=asked)
    hook.on_step_end(TrainingArguments(), TrainerState(global_step=step), control)
    return bool(control.should_save)


@pytest.mark.parametrize(("step", "saved"), [(1, True), (2, True), (3, False)])
def test_a_new_best_is_saved(step: int, saved: bool, run: Run) -> None:
    assert saves(hook_of(run, Kept(1, BEST), step), step) is saved


def test_only_after_a_sweep_the_best_is_asked_for(run: Run) -> None:
    assert not saves(hook_of(run, Kept(1, BEST), swept_step=1), 2)


def test_what_is_complete_is_not_saved_again(run: Run) -> None:
    checkpoint = run.folder.checkpoint(2)
    checkpoint.mkdir()
    (checkpoint / COMPLETE).touch()
    assert not saves(hook_of(run, Kept(None)), 2, asked=True)


def test_what_a_killed_process_left_half_written_goes_before_the_save(run: Run) -> None:
    run.folder.checkpoint(2).mkdir()
    assert saves(hook_of(run, Kept(None)), 2, asked=True)
    assert not run.folder.checkpoint(2).exists()


def test_the_newest_and_the_best_stay(run: Run) -> None:
    for step in (1, 2, 3):
        run.folder.checkpoint(step).mkdir()
        if step < 3:
            (run.folder.checkpoint(step) / COMPLETE).touch()
    hook_of(run, Kept(1, BEST)).on_save(TrainingArguments(), TrainerState(global_step=3), TrainerControl())
    assert run.folder.complete_checkpoints() == [run.folder.checkpoint(2), run.folder.checkpoint(3)]
    assert run.folder.facts()["best"] == {"metric": BEST, "step": 2, "value": 0.3}
