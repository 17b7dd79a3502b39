"""On-policy distillation: generates thoughts with the model in training before the steps of a round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import TrainerControl, TrainerState
from transformers import TrainingArguments as Args

from runtime.pulse import ToLeave
from train.hooks.hook import Hook, Order
from train.hooks.preemption import PreemptionHook


class OnPolicyHook(Hook):
    """Has the thoughts of the next step ready before it begins.

    A run that is told to stop during generation ends after the previous step, and continues generating on resume.
    """

    order = Order.ON_POLICY

    def __init__(self, begin: Callable[[int], None], preemption: PreemptionHook) -> None:
        """begin(n): prepares the thoughts of the step that follows step n (`train.rounds`)."""
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
