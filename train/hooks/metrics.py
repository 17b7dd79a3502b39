"""The record of training: one row of metrics.jsonl for each logged step, and the same numbers to the tracker."""

from __future__ import annotations

import math
import time
from typing import Any

from transformers import TrainerControl, TrainerState
from transformers import TrainingArguments as Args

from runtime.files import append_row
from train.guard import Guard
from train.hooks.hook import Hook, Order
from train.run import Run
from train.speed import Speedometer, peak_memory

LOGGED = ("loss", "learning_rate", "grad_norm", "epoch", "mean_token_accuracy", "entropy", "divergence", "nll")
"""keys taken from the Trainer's own log, if present"""


class Clock:
    """Seconds of training and of sweeps, and tokens, since the last lap."""

    def __init__(self) -> None:
        self.sweep_seconds = 0.0
        self.tokens = 0
        self.restart()

    def restart(self) -> None:
        self.last = time.perf_counter()

    def lap(self, tokens_so_far: int) -> dict[str, float | int]:
        """`tokens`, `seconds` (without sweeps) and `sweep_seconds` since the last lap."""
        now = time.perf_counter()
        lap = {
            "tokens": tokens_so_far - self.tokens,
            "seconds": round(now - self.last - self.sweep_seconds, 4),
            "sweep_seconds": round(self.sweep_seconds, 4),
        }
        self.last, self.tokens, self.sweep_seconds = now, tokens_so_far, 0.0
        return lap


class MetricsHook(Hook):
    """Writes loss, tokens, seconds, speed and memory since the row before; on rank 0 only.

    The last step and every step that is saved are logged too, so that a row never spans a resume.
    """

    order = Order.METRICS

    def __init__(self, run: Run, clock: Clock, guard: Guard, speed: Speedometer) -> None:
        self.run, self.clock, self.guard, self.speed = run, clock, guard, speed
        self.last_step = 0

    def on_train_begin(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.clock.restart()
        self.last_step = state.global_step

    def on_step_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if control.should_save or state.global_step >= state.max_steps:
            control.should_log = True

    def on_epoch_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.on_step_end(args, state, control, **kwargs)

    def on_log(
        self,
        args: Args,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not state.is_world_process_zero or not logs or "loss" not in logs:
            return
        numbers = {key: finite_or_none(logs[key]) for key in LOGGED if key in logs}
        lap = self.clock.lap(int(logs.get("num_tokens", 0)))
        numbers |= {**lap, **self.speed.row(int(lap["tokens"]), lap["seconds"]), **peak_memory()}
        if self.guard.skipped:
            numbers["skipped_steps"] = self.guard.skipped
        # the Trainer logs each step once, and a resume removes the rows of repeated steps
        append_row(self.run.folder.metrics, {"step": state.global_step, **numbers})
        self.run.tracker.log({key: value for key, value in numbers.items() if value is not None}, state.global_step)
        # for hooks that show them, which are called later
        logs["tokens_per_second"] = numbers["tokens_per_second"]
        logs["step_seconds"] = lap["seconds"] / max(1, state.global_step - self.last_step)
        self.last_step = state.global_step


def finite_or_none(value: float) -> float | None:
    """The value, or None for NaN and infinity, which JSON does not have."""
    return value if isinstance(value, int) or math.isfinite(value) else None
