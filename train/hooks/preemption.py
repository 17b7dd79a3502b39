"""SIGTERM or SIGUSR1 in training: all ranks save at the end of the step and stop together."""

from __future__ import annotations

from typing import Any

from transformers import TrainerControl, TrainerState
from transformers import TrainingArguments as Args

from runtime.pulse import PULSE, beat
from runtime.ranks import Ranks
from train.exits import SIGNALS, training_begins
from train.hooks.hook import Hook, Order


class PreemptionHook(Hook):
    """A signal to any rank stops all ranks after the step and sets `preempted`."""

    order = Order.PREEMPTION

    def __init__(self, ranks: Ranks) -> None:
        self.ranks, self.preempted = ranks, False

    def on_train_begin(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        training_begins()

    def on_substep_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        beat()

    def on_step_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        beat()
        if any(self.ranks.gather([PULSE.asked])):
            self.stop(control)

    def on_save(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """A signal during the save makes its step the last one. The checkpoint hook, called later, marks the save."""
        self.ranks.meet()  # rank 0 alone may have been writing for minutes
        if any(self.ranks.gather([PULSE.asked])):
            self.preempted = control.should_training_stop = SIGNALS.heard = True

    def stop(self, control: TrainerControl) -> None:
        """On all ranks: saves the finished step and makes it the last one."""
        self.preempted = control.should_save = control.should_training_stop = True
        SIGNALS.heard = True  # the signal may have reached only another rank so far
