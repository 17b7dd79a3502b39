"""A signal in training stops all ranks after the step; real signals are in the scenarios."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from runtime.pulse import PULSE
from runtime.ranks import ALONE, Ranks
from tests.runtime.threads import together
from train.exits import SIGNALS
from train.hooks.preemption import PreemptionHook


@pytest.fixture(autouse=True)
def _unasked() -> Iterator[None]:
    yield
    PULSE.asked, SIGNALS.heard = False, False


@pytest.mark.parametrize("asked", [False, True])
def test_who_was_asked_saves_and_stops_at_the_end_of_the_step(asked: bool) -> None:
    hook, control, PULSE.asked = PreemptionHook(ALONE), TrainerControl(), asked
    hook.on_step_end(TrainingArguments(), TrainerState(), control)
    assert (hook.preempted, control.should_save, control.should_training_stop) == (asked, asked, asked)


def test_a_rank_stops_where_only_another_was_asked() -> None:
    def stops(ranks: Ranks) -> bool:
        hook, control = PreemptionHook(ranks), TrainerControl()
        # the pulse is this process's, which both ranks share here: what is sent stands for rank 1's alone
        asked = [] if ranks.rank == 0 else [True]
        hook.ranks = Ranks(ranks.rank, ranks.count, lambda rows: ranks.gather(asked), ranks.meet)
        hook.on_step_end(TrainingArguments(), TrainerState(), control)
        return bool(control.should_training_stop)

    assert together(stops) == [True, True]


def test_asked_in_a_save_what_is_saved_is_the_last_step() -> None:
    hook, control, PULSE.asked = PreemptionHook(ALONE), TrainerControl(), True
    hook.on_save(TrainingArguments(), TrainerState(), control)
    assert (hook.preempted, control.should_training_stop, control.should_save) == (True, True, False)
