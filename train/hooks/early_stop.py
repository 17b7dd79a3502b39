"""Early stopping: a pure decision from the rows of the sweeps, so that a resumed run decides the same."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from transformers import TrainerControl, TrainerState
from transformers import TrainingArguments as Args

from eval.numbers.selection import metric_values
from eval.numbers.summary import Row, at_step, steps
from recipes.guard import EarlyStopSection, StopOnVerdict, sweep_metric
from runtime.ranks import on_first_rank
from train.hooks.hook import Hook, Order
from train.hooks.sweep import SweepHook
from train.run import Run


def reason_to_stop(section: EarlyStopSection, rows: Sequence[Row], suite: str) -> str:
    """Why a run with these sweeps ends; "" if it continues. `suite` is the verdict suite."""
    if isinstance(section, StopOnVerdict):
        words = [(at_step(rows, "run", suite, step)[1] or {}).get("verdict") for step in steps(rows, "run", suite)]
        returned = len(list(takewhile(lambda word: word == "RETURNED", reversed(words))))
        return f"the last {returned} sweeps say RETURNED" if returned >= section.times else ""
    since, best = 0, float("-inf")
    for value in metric_values(rows, sweep_metric(section.metric)).values():
        since, best = (0, value) if value > best + section.min_rise else (since + 1, best)
    return f"{section.metric} has not risen above {best:.4g} in {since} sweeps" if since >= section.times else ""


class NothingLeftToTrain(Exception):
    """A resumed run has finished training already."""


class EarlyStopHook(Hook):
    """Ends training after the deciding sweep, which is recorded and its step saved; never without a section."""

    order = Order.EARLY_STOP

    def __init__(self, section: EarlyStopSection | None, run: Run, suite: str, sweeps: SweepHook) -> None:
        self.section, self.run, self.suite, self.sweeps = section, run, suite, sweeps

    def on_train_begin(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        # a sweep that was pending when the run stopped, and has just been done, may decide too
        if self._ends(state.global_step) or state.global_step >= state.max_steps:
            raise NothingLeftToTrain

    def on_step_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        # only a new sweep can change the answer, and agreeing on it costs a collective
        if self.sweeps.swept_step == state.global_step and self._ends(state.global_step):
            control.should_save = control.should_training_stop = True

    def _ends(self, step: int) -> bool:
        """Whether the run ends early at `step`; if so, records and prints it."""
        reason = self.reason(step)
        if reason:
            on_first_rank(self.run.ranks, lambda: self._record(step, reason))
        return bool(reason)

    def reason(self, step: int) -> str:
        """Why the run ends at `step`, the same on all ranks; "" if it does not."""
        section = self.section
        if section is None:
            return ""
        return on_first_rank(self.run.ranks, lambda: reason_to_stop(section, self.run.sweep_rows(step), self.suite))

    def _record(self, step: int, reason: str) -> None:
        self.run.folder.add_facts({"early_stop": {"step": step, "reason": reason}})
        print(f"stops early at step {step}: {reason}", flush=True)
