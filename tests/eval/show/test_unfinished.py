"""What is said about a run that has not finished."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from eval.show.unfinished import has_finished, planned_steps, resuming_command, unfinished_lines
from runtime.run_folder import RunFolder
from runtime.seal import COMPLETE

BEGUN = {"steps": 1200, "ranks": 2, "command": ["recipe=mine.yaml", "seed=3", "run.resume=never"]}


def a_run(folder: Path, record: dict[str, Any], logged: int = 0, saved: int = 0) -> RunFolder:
    """A run folder, last written at the beginning of 1970."""
    run = RunFolder(folder)
    run.record.write_text(json.dumps(record))
    if logged:
        run.metrics.write_text(f'{{"step": {logged}}}\n')
        run.sweeps.write_text('{"step": 10}\n')
    if saved:
        run.checkpoint(saved).mkdir()
        (run.checkpoint(saved) / COMPLETE).write_text("{}")
        run.checkpoint(saved + 1).mkdir()
    for file in folder.glob("*.json*"):
        os.utime(file, (86400, 86400))
    return run


def test_a_killed_run_says_where_it_was_and_how_to_resume(tmp_path: Path) -> None:
    state, resume = unfinished_lines(a_run(tmp_path, BEGUN, logged=1040, saved=1000), "killed")
    assert state.startswith("Killed at step 1,040 of 1,200: its process ended without saving; last written 1970-01-0")
    assert resume == (
        "To resume (after step 1,000, from checkpoint-1000): deepspeed --num_accelerators 2 launch/train.py "
        f"recipe=mine.yaml seed=3 run.dir={tmp_path}"
    )


def test_a_run_that_was_stopped_before_its_first_checkpoint(tmp_path: Path) -> None:
    run = a_run(tmp_path, {"command": ["recipe=mine.yaml"]})
    state, resume = unfinished_lines(run, "left")
    assert state.startswith("Stopped at step 0, before its end; last written 1970-01-0")
    assert resume.startswith("To resume (from its beginning, since no checkpoint is complete; ")
    assert resume.endswith(f": python launch/train.py recipe=mine.yaml run.dir={tmp_path}")


def test_the_log_of_a_run_that_was_left_is_named_and_counts_as_written(tmp_path: Path) -> None:
    run = a_run(tmp_path, BEGUN)
    run.logs.mkdir()
    (run.logs / "rank-0.log").write_text("")
    state = unfinished_lines(run, "left")[0]
    assert "1970" not in state and state.endswith(f"If it failed, {run.logs / 'rank-0.log'} says why.")


def test_a_run_in_progress_is_not_to_be_resumed(tmp_path: Path) -> None:
    (line,) = unfinished_lines(a_run(tmp_path, BEGUN | {"finished": "2026-11-29T12:00:00+0000"}, logged=7), "running")
    assert line.startswith("Running: step 10 of 1,200, last written 1970-01-0")


def test_a_folder_of_which_no_process_is_known(tmp_path: Path) -> None:
    state = unfinished_lines(a_run(tmp_path, BEGUN), "unknown")[0]
    assert state.startswith("Unfinished at step 0 of 1,200;")
    assert state.endswith("Whether a process still runs it is not known here.")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"finished": "2026-11-29T12:00:00+0000"}'])
def test_nothing_is_said_of_a_finished_run_or_without_a_record(tmp_path: Path, text: str) -> None:
    RunFolder(tmp_path).record.write_text(text)
    assert unfinished_lines(RunFolder(tmp_path), "left") == []


@pytest.mark.parametrize(
    ("started", "finished", "is_finished"),
    [
        ("2026-11-29T12:00:00+0000", "2026-11-29T12:30:00+0000", True),
        ("2026-11-29T12:00:00+0000", "2026-11-29T12:30:00+0100", False),  # an hour of time zones earlier
        ("2026-11-29T12:00:00+0000", None, False),
        ("by hand", "2026-11-29T12:30:00+0000", True),
    ],
)
def test_a_run_that_was_started_again_after_its_end_has_not_finished(
    started: str, finished: str | None, is_finished: bool
) -> None:
    assert has_finished({"starts": [{"at": started}], "finished": finished}) is is_finished


def test_the_steps_of_a_run_of_an_earlier_version_are_those_of_its_recipe() -> None:
    assert planned_steps({"recipe": {"trainer": {"max_steps": 120}}}) == 120
    assert planned_steps({"recipe": {"trainer": {"max_steps": -1}}}) is None and planned_steps({}) is None


def test_a_command_is_written_for_a_shell_and_keeps_where_it_began() -> None:
    given = {"command": ["recipe=a b.yaml", "run.resume=old/checkpoint-5", "run.dir=elsewhere"]}
    command = resuming_command(given, Path("runs/x y"), [])
    assert shlex.split(command)[2:] == ["recipe=a b.yaml", "run.resume=old/checkpoint-5", "run.dir=runs/x y"]
    assert "run.resume" not in resuming_command(given, Path("runs/x y"), [Path("runs/x y/checkpoint-7")])
