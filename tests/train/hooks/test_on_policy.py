"""When a run thinks: before its first step and after each, not for steps that do not come."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from runtime.pulse import PULSE, ToLeave
from runtime.ranks import ALONE
from train.exits import SIGNALS
from train.hooks.on_policy import OnPolicyHook
from train.hooks.preemption import PreemptionHook

ARGUMENTS = TrainingArguments()


@pytest.fixture(autouse=True)
def _unasked() -> Iterator[None]:
    yield
    PULSE.asked, SIGNALS.heard = False, False


def state(step: int) -> TrainerState:
    return TrainerState(global_step=step, max_steps=4)


def test_it_thinks_for_the_step_that_comes() -> None:
    steps: list[int] = []
    hook = OnPolicyHook(steps.append, PreemptionHook(ALONE))
    hook.on_train_begin(ARGUMENTS, state(2), TrainerControl())
    hook.on_step_end(ARGUMENTS, state(3), TrainerControl())
    assert steps == [2, 3]


def test_after_the_last_step_and_where_the_run_ends_it_thinks_no_more() -> None:
    steps: list[int] = []
    hook = OnPolicyHook(steps.append, PreemptionHook(ALONE))
    hook.on_train_begin(ARGUMENTS, state(4), TrainerControl())
    hook.on_step_end(ARGUMENTS, state(4), TrainerControl())
    hook.on_step_end(ARGUMENTS, state(2), TrainerControl(should_training_stop=True))
    assert steps == []


def test_asked_to_stop_while_it_thinks_the_run_ends_after_the_step_before_and_saves_it() -> None:
    def leaves(step: int) -> None:
        raise ToLeave

    preemption, control = PreemptionHook(ALONE), TrainerControl()
    OnPolicyHook(leaves, preemption).on_step_end(ARGUMENTS, state(2), control)
    assert (preemption.preempted, control.should_save, control.should_training_stop) == (True, True, True)
