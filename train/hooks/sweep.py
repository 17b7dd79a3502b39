"""Sweeps during training: when they are due, and sweeps of the live weights."""

from __future__ import annotations

import time
from typing import Any

import torch
from transformers import TrainerControl, TrainerState
from transformers import TrainingArguments as Args

from eval.engines.memory import PeakMemory
from eval.engines.pace import Pace
from eval.kept_sweep import KeptSweep, Place
from eval.sweep import SweepSpec
from eval.types import SuiteSweep, Weights
from eval.weights_hash import weights_hash
from runtime.pulse import ToLeave, may_leave
from runtime.ranks import on_first_rank
from train.hooks.hook import Hook, Order
from train.hooks.metrics import Clock
from train.hooks.preemption import PreemptionHook
from train.hooks.recorder import Cost, SweepRecorder
from train.model import gathered_model


class Sweeps:
    """The sweeps of a run; all ranks call every method, at the same steps.

    The backlog holds sweeps that wait or run while training continues; in this class it is empty.
    """

    def sweep(self, step: int) -> None:
        """Sweeps at this step, or puts the sweep into the backlog."""
        raise NotImplementedError

    def begin(self, step: int) -> None:
        """Takes up the backlog of an earlier start of the run, which resumes from `step`."""

    def has(self, step: int) -> bool:
        """Whether no sweep of this step is pending: it is in the backlog, or was skipped. On rank 0."""
        return False

    def poll(self) -> None:
        """Records results that have arrived."""

    def wait(self) -> None:
        """Waits until the backlog is empty."""

    def leave(self) -> None:
        """Leaves the backlog on disk: the run stops, and takes it up when it resumes."""


class LiveSweeps(Sweeps):
    """Sweeps the live weights without side effects on the model (`eval.quiet`); training waits."""

    def __init__(self, trainer: Any, spec: SweepSpec, recorder: SweepRecorder, clock: Clock) -> None:
        self.trainer, self.spec, self.recorder, self.clock = trainer, spec, recorder, clock
        self.run = recorder.run

    def sweep(self, step: int) -> None:
        """Reuses what a killed process had finished of this sweep, if the weights are bit-identical."""
        started, memory = time.perf_counter(), PeakMemory()
        try:
            sweeps, pace = self._sweep(Place(self.run.folder.samples, "run", step))
        finally:  # an interrupted sweep has taken time too
            seconds = time.perf_counter() - started
            self.clock.sweep_seconds += seconds
        # resident memory is meaningless in a process that held more before: on a CPU only the benchmark measures it
        peak = memory.bytes() if torch.cuda.is_available() else None
        self.recorder.record(sweeps, Cost(seconds, peak, pace.seconds_per_token))

    def _sweep(self, place: Place) -> tuple[dict[str, SuiteSweep], Pace]:
        ranks = self.run.ranks
        with may_leave(), gathered_model(self.trainer) as model:
            kept = KeptSweep(self.spec, place, on_first_rank(ranks, lambda: weights_hash(model)), ranks)
            on_first_rank(ranks, kept.set_others_aside)
            return kept.run(lambda: Weights(model)), kept.pace


class SweepHook(Hook):
    """Sweeps every N steps and after the last one; `swept_step` is the step of the newest sweep.

    A sweep interrupted by a stop signal is repeated on resume, before the next step.
    """

    order = Order.SWEEP

    def __init__(self, sweeps: Sweeps, recorder: SweepRecorder, preemption: PreemptionHook) -> None:
        self.sweeps, self.recorder, self.preemption = sweeps, recorder, preemption
        self.swept_step: int | None = None

    def on_train_begin(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.sweeps.begin(state.global_step)
        if self.is_owed(state.global_step):
            self._sweep(state.global_step)

    def on_step_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.sweeps.poll()
        if self.preemption.preempted or not self.recorder.looks.is_due(state.global_step):
            return
        try:
            self._sweep(state.global_step)
        except ToLeave:
            self.preemption.stop(control)

    def _sweep(self, step: int) -> None:
        self.sweeps.sweep(step)
        self.swept_step = step

    def is_owed(self, step: int) -> bool:
        """Whether the sweep of a finished step was interrupted, so that it needs the weights of that step."""
        due = self.recorder.looks.is_due(step)
        return due and on_first_rank(self.recorder.run.ranks, lambda: not self._is_done(step))

    def _is_done(self, step: int) -> bool:
        rows = self.recorder.run.sweep_rows()
        return self.sweeps.has(step) or any((row["model"], row["step"]) == ("run", step) for row in rows)

    def finish(self, step: int) -> None:
        """Does the pending sweeps of a run that has finished training."""
        self.sweeps.begin(step)
        self.sweeps.wait()

    def on_train_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.preemption.preempted:
            self.sweeps.leave()
        else:
            self.sweeps.wait()
