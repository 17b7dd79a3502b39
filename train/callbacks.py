"""What happens while the Trainer trains: sweeps, the record of metrics, complete checkpoints, and preemption."""

from __future__ import annotations

import shutil
import signal
from types import FrameType
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers import TrainingArguments as Args

from eval.ranks import Ranks
from eval.sequences import sweep_error
from train.recorder import Clock
from train.run_record import COMPLETE, RunFolder, write_whole
from train.sweeps import Sweeps
from train.tracking import Tracker

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class SweepCallback(TrainerCallback):
    """Sweeps every N steps and after the last one."""

    def __init__(self, sweeps: Sweeps, every_steps: int) -> None:
        self.sweeps, self.every_steps = sweeps, every_steps

    def on_train_begin(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.sweeps.begin(state.global_step)

    def on_step_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.sweeps.poll()
        if state.global_step % self.every_steps == 0 or state.global_step >= state.max_steps:
            self.sweeps.sweep(state.global_step, sweep_error(state.global_step, self.every_steps, state.max_steps))

    def finish(self, step: int) -> None:
        """Does what was left of the sweeps of a run that has trained to its end."""
        self.sweeps.begin(step)
        self.sweeps.wait()

    def on_train_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step >= state.max_steps:
            self.sweeps.wait()
        else:
            self.sweeps.leave()


class MetricsCallback(TrainerCallback):
    """One row of metrics.jsonl a logging step: loss, and the tokens and seconds since the row before. Rank 0 only.

    The last step and every step that is saved are logged too, so that a row never spans a resume.
    """

    def __init__(self, folder: RunFolder, tracker: Tracker, clock: Clock) -> None:
        self.folder, self.tracker, self.clock = folder, tracker, clock

    def on_train_begin(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.clock.restart()

    def on_step_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if control.should_save or state.global_step >= state.max_steps:
            control.should_log = True

    def on_epoch_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.on_step_end(args, state, control, **kwargs)

    def on_log(self, args: Args, state: TrainerState, control: TrainerControl,
               logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        if not state.is_world_process_zero or not logs or "loss" not in logs:
            return
        kept = ("loss", "learning_rate", "grad_norm", "epoch", "mean_token_accuracy")
        row = {"step": state.global_step, **{key: logs[key] for key in kept if key in logs},
               **self.clock.lap(int(logs.get("num_tokens", 0)))}
        self.folder.put_rows("metrics.jsonl", [row], ("step",))
        self.tracker.log({key: value for key, value in row.items() if key != "step"}, state.global_step)


class CompleteCallback(TrainerCallback):
    """Marks a checkpoint as complete, after everything of it is written by every rank, and only then drops old ones."""

    def __init__(self, folder: RunFolder, keep: int | None, ranks: Ranks) -> None:
        self.folder, self.keep, self.ranks = folder, keep, ranks

    def on_save(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.ranks.gather([])
        if self.ranks.rank == 0:
            write_whole(self.folder.path / f"checkpoint-{state.global_step}" / COMPLETE, f"{state.global_step}\n")
            for old in self.folder.complete_checkpoints()[: -self.keep if self.keep else 0]:
                (old / COMPLETE).unlink()
                shutil.rmtree(old)


class PreemptionCallback(TrainerCallback):
    """SIGTERM or SIGUSR1 to any rank: all ranks save at the end of the step and stop together; `preempted` says so."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks, self.asked, self.preempted = ranks, False, False

    def on_train_begin(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def on_step_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if any(self.ranks.gather([self.asked])) and state.global_step < state.max_steps:
            self.preempted = control.should_save = control.should_training_stop = True

    def on_train_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
