"""When a run is swept, and what is owed when it resumes."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from recipes.sweep import VerdictSection
from runtime.files import write_rows
from runtime.pulse import ToLeave
from runtime.ranks import ALONE
from tests.train.runs import run_in
from train.hooks.preemption import PreemptionHook
from train.hooks.recorder import Looks, SweepRecorder
from train.hooks.sweep import SweepHook, Sweeps
from train.references import References


class Steps(Sweeps):
    """Notes the steps; leaves where `asked`."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.asked = False
        self.ended = ""

    def sweep(self, step: int) -> None:
        if self.asked:
            raise ToLeave
        self.done.append(step)

    def wait(self) -> None:
        self.ended = "waited"

    def leave(self) -> None:
        self.ended = "left"


@pytest.fixture
def hook(tmp_path: Path) -> SweepHook:
    recorder = SweepRecorder(run_in(tmp_path), References({}, {}), VerdictSection(suite="chain"), Looks(3, 8))
    return SweepHook(Steps(), recorder, PreemptionHook(ALONE))


def steps_of(hook: SweepHook) -> list[int]:
    assert isinstance(hook.sweeps, Steps)
    return hook.sweeps.done


def end_step(hook: SweepHook, step: int) -> TrainerControl:
    control = TrainerControl()
    hook.on_step_end(TrainingArguments(), TrainerState(global_step=step, max_steps=8), control)
    return control


def test_every_third_step_and_the_last_are_swept(hook: SweepHook) -> None:
    for step in range(1, 9):
        end_step(hook, step)
    assert (steps_of(hook), hook.swept_step) == ([3, 6, 8], 8)


def test_in_a_step_that_is_the_last_by_a_signal_no_sweep_begins(hook: SweepHook) -> None:
    hook.preemption.preempted = True
    end_step(hook, 3)
    assert steps_of(hook) == []


def test_a_sweep_that_is_left_stops_the_run_with_a_save(hook: SweepHook) -> None:
    assert isinstance(hook.sweeps, Steps)
    hook.sweeps.asked = True
    control = end_step(hook, 3)
    assert (control.should_save, control.should_training_stop, hook.swept_step) == (True, True, None)


@pytest.mark.parametrize(("step", "swept"), [(3, []), (6, [6]), (7, [])])
def test_a_sweep_that_was_left_is_done_when_the_run_resumes(step: int, swept: list[int], hook: SweepHook) -> None:
    """Step 3 has its rows, step 6 has not, at step 7 none was due."""
    write_rows(hook.recorder.run.folder.sweeps, [{"step": 3, "model": "run"}, {"step": 6, "model": "pruned"}])
    hook.on_train_begin(TrainingArguments(), TrainerState(global_step=step, max_steps=8), TrainerControl())
    assert steps_of(hook) == swept


@pytest.mark.parametrize(("preempted", "ended"), [(False, "waited"), (True, "left")])
def test_the_backlog_is_waited_for_unless_the_run_stops(preempted: bool, ended: str, hook: SweepHook) -> None:
    assert isinstance(hook.sweeps, Steps)
    hook.preemption.preempted = preempted
    hook.on_train_end(TrainingArguments(), TrainerState(), TrainerControl())
    assert hook.sweeps.ended == ended
