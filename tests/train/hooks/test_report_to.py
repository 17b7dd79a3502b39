"""The Trainer's own trackers: they get each sweep once at its step, and one that fails stops no run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from runtime.files import write_rows
from runtime.ranks import ALONE
from tests.train.runs import run_in
from tests.train.test_tracked_values import sweep
from train.hooks.report_to import ReportHook, make_careful


@dataclass
class Reporter(TrainerCallback):
    """A tracker that keeps what it is given, as the Trainer's do."""

    seen: list[tuple[int, Any]] = field(default_factory=list)

    def on_log(self, args: Any, state: TrainerState, control: Any, logs: Any = None, **kwargs: Any) -> None:
        self.seen.append((state.global_step, logs))


class Failing(Reporter):
    def on_log(self, *args: Any, **kwargs: Any) -> None:
        self.seen.append((0, None))
        raise OSError("no server")


def step_end(hook: ReportHook, folder: Path, step: int) -> None:
    hook.on_step_end(TrainingArguments(str(folder)), TrainerState(global_step=step), TrainerControl())


def test_a_sweep_is_passed_on_once_at_its_own_step(tmp_path: Path) -> None:
    reporter, run = Reporter(), run_in(tmp_path)
    write_rows(run.folder.sweeps, [*sweep("unpruned", 0, 1.0), *sweep("run", 4, 0.5)])
    hook = ReportHook(run, [reporter], "chain")
    write_rows(run.folder.sweeps, [*sweep("unpruned", 0, 1.0), *sweep("run", 4, 0.5), *sweep("run", 8, 0.9)])
    for step in (10, 11):  # a sweep in the background comes later than its step
        step_end(hook, tmp_path, step)
    ((step, logs),) = reporter.seen
    assert (step, logs["recovery/level"], logs["recovery/verdict_score"]) == (8, 0.9, 2)
    assert not [value for value in logs.values() if isinstance(value, str)]


def test_other_ranks_report_nothing(tmp_path: Path) -> None:
    reporter, run = Reporter(), run_in(tmp_path, replace(ALONE, rank=1))
    hook = ReportHook(run, [reporter], "chain")
    write_rows(run.folder.sweeps, sweep("run", 8, 0.9))
    step_end(hook, tmp_path, 8)
    assert reporter.seen == []


def test_a_tracker_that_fails_says_so_once_and_is_silent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failing, run = Failing(), run_in(tmp_path)
    make_careful(failing)
    hook = ReportHook(run, [failing], "chain")
    for step in (4, 8):
        write_rows(run.folder.sweeps, sweep("run", step, 0.9))
        step_end(hook, tmp_path, step)
    assert len(failing.seen) == 1
    assert capsys.readouterr().err == "Failing failed (no server); the run continues without it\n"
