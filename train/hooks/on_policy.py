"""Before the steps of a round: the model in training thinks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import TrainerControl, TrainerState
from transformers import TrainingArguments as Args

from runtime.pulse import ToLeave
from train.hooks.hook import Hook, Order
from train.hooks.preemption import PreemptionHook


class OnPolicyHook(Hook):
    """Has the thoughts of the next step ready when it begins.

    A run that is asked to stop while it thinks ends after the step before, and thinks on when it resumes.
    """

    order = Order.ON_POLICY

    def __init__(self, begin: Callable[[int], None], preemption: PreemptionHook) -> None:
        """begin: has the thoughts ready of the step after so many steps (`train.rounds`)."""
        self.begin, self.preemption = begin, preemption

    def on_train_begin(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step < state.max_steps:
            self.begin(state.global_step)

    def on_step_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if control.should_training_stop or state.global_step >= state.max_steps:
            return
        try:
            self.begin(state.global_step)
        except ToLeave:
            self.preemption.stop(control)
