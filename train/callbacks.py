"""What happens while the Trainer trains: sweeps, the record of metrics, complete checkpoints, and preemption."""

from __future__ import annotations

import shutil
import signal
import time
from dataclasses import dataclass
from types import FrameType
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers import TrainingArguments as Args

from eval.ranks import Ranks
from eval.sequences import RUN_ERROR, sweep_error
from eval.summary import Row, read_rows, rows
from eval.sweep import SweepPlan, save_thoughts, suite_sweep, sweep_model
from eval.tables import sweep_table
from eval.types import SuiteSweep
from recipes.sweeps import VerdictSection
from train.model import References, whole_model
from train.run_record import COMPLETE, RunFolder, write_whole
from train.tracking import Tracker

SWEEP_KEY = ("step", "model", "suite", "budget")
STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


@dataclass(frozen=True)
class SweepRecorder:
    """Turns sweeps into rows, samples, a table in the terminal and curves in W&B; only rank 0 writes and prints."""

    folder: RunFolder
    tracker: Tracker
    references: References
    verdict: VerdictSection
    ranks: Ranks

    def record(self, sweeps: dict[str, SuiteSweep], seconds: float, error: float = RUN_ERROR) -> None:
        """Rows of all suites; the run's own are compared with both references, at this sweep's share of the error."""
        found: list[Row] = []
        for name, sweep in sweeps.items():
            of_run = sweep.model == "run"
            unpruned = self.references.unpruned[name] if of_run else None
            pruned = self.references.pruned[name] if of_run else None
            compared = rows(sweep, unpruned, pruned, self.verdict, error)
            found += [row | {"seconds": round(seconds, 3)} for row in compared]
        if self.ranks.rank != 0:
            return
        self.folder.put_rows("sweeps.jsonl", found, SWEEP_KEY)
        model, step = found[0]["model"], found[0]["step"]
        self.tracker.log_sweep(found, step)
        if model == "run":
            table = sweep_table(read_rows(self.folder.path / "sweeps.jsonl"), str(self.verdict.suite))
            print(f"\n{table}\n", flush=True)


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
        lap = {"tokens": tokens_so_far - self.tokens, "seconds": round(now - self.last - self.sweep_seconds, 4),
               "sweep_seconds": round(self.sweep_seconds, 4)}
        self.last, self.tokens, self.sweep_seconds = now, tokens_so_far, 0.0
        return lap


class SweepCallback(TrainerCallback):
    """Sweeps every N steps and after the last one. Training state is left as it was (see `eval.quiet`)."""

    def __init__(self, trainer: Any, plan: SweepPlan, every_steps: int, recorder: SweepRecorder, clock: Clock) -> None:
        self.trainer, self.plan, self.every_steps = trainer, plan, every_steps
        self.recorder, self.clock = recorder, clock

    def on_step_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step % self.every_steps == 0 or state.global_step >= state.max_steps:
            self._sweep(state.global_step, sweep_error(state.global_step, self.every_steps, state.max_steps))

    def _sweep(self, step: int, error: float) -> None:
        started = time.perf_counter()
        with whole_model(self.trainer) as model:
            thoughts = sweep_model(model, self.plan, self.recorder.ranks)
        sweeps = {suite.name: suite_sweep(suite, self.plan, thoughts[suite.name], "run", step)
                  for suite in self.plan.suites}
        if self.recorder.ranks.rank == 0:
            for name, sweep in sweeps.items():
                save_thoughts(self.recorder.folder.path / "samples", sweep, thoughts[name])
        seconds = time.perf_counter() - started
        self.clock.sweep_seconds += seconds
        self.recorder.record(sweeps, seconds, error)


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
