"""Checkpoints in training: sealed as complete after each save; all but those to keep are removed."""

from __future__ import annotations

import shutil
from typing import Any

from transformers import TrainerControl, TrainerState
from transformers import TrainingArguments as Args

from eval.numbers.selection import metric_values
from recipes.guard import sweep_metric
from runtime.pulse import beat
from runtime.ranks import on_first_rank
from runtime.run_folder import step_of
from runtime.seal import COMPLETE
from train.checkpoints import Kept, complete
from train.hooks.hook import Hook, Order
from train.hooks.sweep import SweepHook
from train.run import Run


class CheckpointHook(Hook):
    """Seals saved checkpoints, removes those not to be kept, and prevents overwriting a complete one."""

    order = Order.CHECKPOINT

    def __init__(self, run: Run, kept: Kept, sweeps: SweepHook) -> None:
        self.run, self.folder, self.kept, self.sweeps = run, run.folder, kept, sweeps

    def on_step_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        # only a new sweep can be a new best, and agreeing on it costs a collective
        asks = self.kept.best is not None and self.sweeps.swept_step == state.global_step
        if asks and on_first_rank(self.run.ranks, lambda: self._is_new_best(state.global_step)):
            control.should_save = True
        self.make_room(state, control)

    def on_epoch_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.make_room(state, control)

    def make_room(self, state: TrainerState, control: TrainerControl) -> None:
        """Before a save: removes what a killed process left incomplete, and skips a checkpoint that is complete
        already."""
        if not control.should_save:
            return
        checkpoint = self.folder.checkpoint(state.global_step)

        def ready() -> bool:
            if (checkpoint / COMPLETE).is_file():
                return False
            shutil.rmtree(checkpoint, ignore_errors=True)
            return True

        control.should_save = on_first_rank(self.run.ranks, ready)

    def on_save(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        complete(self.folder.checkpoint(state.global_step), state.global_step, self.run.ranks)
        on_first_rank(self.run.ranks, self._tidy)
        beat()

    def _tidy(self) -> None:
        best = self.kept.best_of(self.folder)
        if best is not None:
            self.folder.add_facts({"best": {"metric": self.kept.best, "step": best[0], "value": best[1]}})
        checkpoints = self.folder.complete_checkpoints()
        for old in checkpoints[: -self.kept.newest if self.kept.newest else 0]:
            if best is None or step_of(old) != best[0]:
                (old / COMPLETE).unlink()  # first: a partly removed checkpoint must not look complete
                shutil.rmtree(old)

    def _is_new_best(self, step: int) -> bool:
        """Whether the sweep of exactly this step is better than all earlier ones."""
        assert self.kept.best is not None
        values = metric_values(self.run.sweep_rows(), sweep_metric(self.kept.best))
        before = [value for other, value in values.items() if other < step]
        return step in values and all(values[step] > value for value in before)
