"""Other trackers of the Trainer (`trainer.report_to`): they also get the numbers of sweeps, and never stop a run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers import TrainingArguments as Args
from transformers.integrations.integration_utils import get_reporting_integration_callbacks

from train.hooks.hook import Hook, Order
from train.run import Run
from train.tracked_values import recovery_values
from train.trainer import RecoveryTrainer

EVENTS = ("on_init_end", "on_train_begin", "on_log", "on_save", "on_train_end")
"""events that the Trainer's trackers handle"""


def careful_reporters(trainer: RecoveryTrainer) -> list[TrainerCallback]:
    """The trackers among the trainer's callbacks. From now on, one that fails prints a line once and is then
    disabled."""
    kinds = tuple(get_reporting_integration_callbacks(trainer.args.report_to))
    found = [each for each in trainer.callback_handler.callbacks if kinds and isinstance(each, kinds)]
    for callback in found:
        make_careful(callback)
    return found


def make_careful(callback: TrainerCallback) -> None:
    """Wraps each event of this callback so that its errors do not end the run."""
    name, events = type(callback).__name__, {event: getattr(callback, event) for event in EVENTS}
    lost: list[Exception] = []

    def guarded(work: Callable[..., Any]) -> Callable[..., None]:
        def event(*args: Any, **kwargs: Any) -> None:
            if lost:
                return
            try:
                work(*args, **kwargs)
            except Exception as fault:  # a server, a disk, a changed release: tracking is optional
                lost.append(fault)
                print(f"{name} failed ({str(fault)[:200]}); the run continues without it", file=sys.stderr, flush=True)

        return event

    for event, work in events.items():
        setattr(callback, event, guarded(work))


class ReportHook(Hook):
    """Reports each new sweep at its own step, under the same names as in W&B (`recovery/…`); on rank 0 only.

    Sweeps of an earlier start were reported by that start.
    """

    order = Order.REPORT

    def __init__(self, run: Run, reporters: Sequence[TrainerCallback], suite: str) -> None:
        self.run, self.reporters, self.suite = run, reporters, suite
        self.reported = set(self._sweeps())

    def _sweeps(self) -> list[int]:
        """Steps of the sweeps of the run so far, increasing; [] on other ranks."""
        rows = self.run.sweep_rows() if self.run.is_first_rank else []
        return sorted({row["step"] for row in rows if (row["model"], row["suite"]) == ("run", self.suite)})

    def on_step_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        for step in self._sweeps():
            if step not in self.reported:
                self.reported.add(step)
                self._report(args, replace(state, global_step=step), control)

    def on_train_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.on_step_end(args, state, control, **kwargs)

    def _report(self, args: Args, state: TrainerState, control: TrainerControl) -> None:
        rows = [row for row in self.run.sweep_rows() if (row["model"], row["step"]) == ("run", state.global_step)]
        values = recovery_values(rows, self.suite)
        numbers = {key: value for key, value in values.items() if not isinstance(value, str)}
        for reporter in self.reporters:
            reporter.on_log(args, state, control, logs=dict(numbers))
