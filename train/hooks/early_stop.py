"""When a run ends before its last step: a pure decision over the rows of its sweeps, so a resumed run decides alike."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers import TrainingArguments as Args

from eval.numbers.summary import Row, at_step, steps
from recipes.guard import EarlyStopSection, StopOnVerdict, sweep_metric
from runtime.files import read_rows
from runtime.ranks import on_first_rank
from train.hooks.checkpoints import metric_values
from train.hooks.recorder import SweepRecorder


def reason_to_stop(section: EarlyStopSection, rows: Sequence[Row], suite: str) -> str:
    """Why a run with these sweeps ends; "" where it goes on. `suite` is the one that has a verdict."""
    if isinstance(section, StopOnVerdict):
        words = [(at_step(rows, "run", suite, step)[1] or {}).get("verdict") for step in steps(rows, "run", suite)]
        returned = len(list(takewhile(lambda word: word == "RETURNED", reversed(words))))
        return f"the last {returned} sweeps say RETURNED" if returned >= section.times else ""
    since, best = 0, float("-inf")
    for value in metric_values(rows, sweep_metric(section.metric)).values():
        since, best = (0, value) if value > best + section.min_rise else (since + 1, best)
    return f"{section.metric} has not risen above {best:.4g} in {since} sweeps" if since >= section.times else ""


class Through(Exception):
    """Nothing is left to train when a run goes on."""


class EarlyStopCallback(TrainerCallback):
    """Ends the training after the sweep that decides, saved and recorded; without a section never."""

    def __init__(self, section: EarlyStopSection | None, recorder: SweepRecorder) -> None:
        self.section, self.recorder = section, recorder

    def on_train_begin(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._ends(state.global_step) or state.global_step >= state.max_steps:  # by a sweep that was owed, too
            raise Through

    def on_step_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._ends(state.global_step):
            control.should_save = control.should_training_stop = True

    def _ends(self, step: int) -> bool:
        """Whether the run ends early at `step`, which is recorded and said."""
        reason = self.reason(step)
        if reason:
            on_first_rank(self.recorder.ranks, lambda: self._record(step, reason))
        return bool(reason)

    def reason(self, step: int) -> str:
        """Why the run ends at `step`, the same on all ranks; "" where it does not."""
        return "" if self.section is None else on_first_rank(self.recorder.ranks, lambda: self._reason(step))

    def _reason(self, step: int) -> str:
        assert self.section is not None
        rows = [row for row in read_rows(self.recorder.folder.path / "sweeps.jsonl") if row["step"] <= step]
        return reason_to_stop(self.section, rows, str(self.recorder.verdict.suite))

    def _record(self, step: int, reason: str) -> None:
        self.recorder.folder.add_facts({"early_stop": {"step": step, "reason": reason}})
        print(f"stops early at step {step}: {reason}", flush=True)
