"""What happens while the Trainer trains: sweeps, the record of metrics, and preemption."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers import TrainingArguments as Args

from eval.numbers.sequences import sweep_error
from runtime.files import read_rows
from runtime.pulse import PULSE, ToLeave, beat
from runtime.ranks import Ranks, on_first_rank
from train.exits import SIGNALS, training_begins
from train.hooks.guard import Guard, finite_or_none
from train.hooks.recorder import Clock, SweepRecorder
from train.hooks.saved_sweeps import Sweeps


class PreemptionCallback(TrainerCallback):
    """SIGTERM or SIGUSR1 to any rank: all ranks save at the end of the step and stop together; `preempted` says so.

    It comes before all others, so that no sweep begins in a step that is asked to be the last.
    """

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
        """Asked in the save: what is being saved is the last step. Others mark it as complete after this."""
        self.ranks.meet()  # rank 0 alone may have written for minutes
        if any(self.ranks.gather([PULSE.asked])):
            self.preempted = control.should_training_stop = SIGNALS.heard = True

    def stop(self, control: TrainerControl) -> None:
        """On all ranks: the step is done, so it is saved, and it is the last one."""
        self.preempted = control.should_save = control.should_training_stop = True
        SIGNALS.heard = True  # where another rank was asked; its signal may still come here


class SweepCallback(TrainerCallback):
    """Sweeps every N steps and after the last one. A sweep that is left when the run is asked to stop is done when it
    goes on, before the next step."""

    def __init__(
        self, sweeps: Sweeps, every_steps: int, preemption: PreemptionCallback, recorder: SweepRecorder
    ) -> None:
        self.sweeps, self.every_steps = sweeps, every_steps
        self.preemption, self.recorder = preemption, recorder

    def on_train_begin(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.sweeps.begin(state.global_step)
        if self.is_owed(state.global_step, state.max_steps):
            self._sweep(state.global_step, state.max_steps)

    def on_step_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.sweeps.poll()
        if self.preemption.preempted or not self._is_due(state.global_step, state.max_steps):
            return
        try:
            self._sweep(state.global_step, state.max_steps)
        except ToLeave:
            self.preemption.stop(control)

    def _is_due(self, step: int, last_step: int) -> bool:
        return step > 0 and (step % self.every_steps == 0 or step >= last_step)

    def _sweep(self, step: int, last_step: int) -> None:
        self.sweeps.sweep(step, sweep_error(step, self.every_steps, last_step))

    def is_owed(self, step: int, last_step: int) -> bool:
        """Whether the sweep of a step that is done was left, and needs the weights of that step."""
        return self._is_due(step, last_step) and on_first_rank(self.recorder.ranks, lambda: not self._is_there(step))

    def _is_there(self, step: int) -> bool:
        rows = read_rows(self.recorder.folder.path / "sweeps.jsonl")
        return self.sweeps.has(step) or any((row["model"], row["step"]) == ("run", step) for row in rows)

    def finish(self, step: int) -> None:
        """Does what was left of the sweeps of a run that has trained to its end."""
        self.sweeps.begin(step)
        self.sweeps.wait()

    def on_train_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.preemption.preempted:
            self.sweeps.leave()
        else:
            self.sweeps.wait()


class MetricsCallback(TrainerCallback):
    """One row of metrics.jsonl a logging step: loss, and the tokens and seconds since the row before. Rank 0 only.

    The last step and every step that is saved are logged too, so that a row never spans a resume.
    """

    def __init__(self, recorder: SweepRecorder, clock: Clock, guard: Guard) -> None:
        self.recorder, self.clock, self.guard = recorder, clock, guard

    def on_train_begin(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.clock.restart()

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
        kept = ("loss", "learning_rate", "grad_norm", "epoch", "mean_token_accuracy")
        row = {
            "step": state.global_step,
            **{key: finite_or_none(logs[key]) for key in kept if key in logs},
            **self.clock.lap(int(logs.get("num_tokens", 0))),
        }
        if self.guard.skipped:
            row["skipped_steps"] = self.guard.skipped
        self.recorder.folder.put_rows("metrics.jsonl", [row], ("step",))
        self.recorder.tracker.log({key: value for key, value in row.items() if key != "step"}, state.global_step)
