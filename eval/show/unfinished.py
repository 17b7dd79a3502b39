"""What a report says at its top about a run that has not finished: running, stopped or killed, where, how to resume it.

A page is a picture of one moment: its lines give the time of the run's last written file, never "now".
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from runtime.files import read_rows
from runtime.run_folder import RunFolder, step_of
from runtime.run_lock import Presence

TIME = "%Y-%m-%dT%H:%M:%S%z"
"""how run.json writes a time"""
SAID: Mapping[Presence, str] = {
    "running": "Running: step {}, last written {}.",
    "killed": "Killed at step {}: its process ended without saving; last written {}.",
    "left": "Stopped at step {}, before its end; last written {}.",
    "unknown": "Unfinished at step {}; last written {}. Whether a process still runs it is not known here.",
}
"""the step that was reached, and the time"""


def unfinished_lines(folder: RunFolder, presence: Presence) -> list[str]:
    """The lines on a run that has not finished; [] for one that has. `presence`: of a process in the folder."""
    record = _record(folder)
    if not record or (presence != "running" and has_finished(record)):
        return []
    reached = last_step(row.get("step") for file in (folder.metrics, folder.sweeps) for row in read_rows(file))
    state = SAID[presence].format(_of(reached, planned_steps(record)), _last_written(folder))
    if presence == "running":
        return [state]
    log = folder.logs / "rank-0.log"
    reason = f" If it failed, {log} says why." if presence == "left" and log.is_file() else ""
    return [state + reason, _how_to_resume(folder, record)]


def _record(folder: RunFolder) -> dict[str, Any]:
    """run.json; {} for one that cannot be read, about which the report has a line of its own."""
    try:
        return folder.facts()
    except (ValueError, TypeError):
        return {}


def has_finished(record: Mapping[str, Any]) -> bool:
    """Whether the last start of the run came to its end; `record`: run.json."""
    finished, starts = record.get("finished"), record.get("starts") or []
    if not finished:
        return False
    try:
        return datetime.strptime(finished, TIME) >= datetime.strptime(starts[-1]["at"], TIME)
    except (ValueError, TypeError, KeyError, IndexError):  # the record of an earlier version has no starts
        return True


def planned_steps(record: Mapping[str, Any]) -> int | None:
    """The steps that the run is to make; None if neither run.json (of an earlier version) nor the recipe says."""
    steps = record.get("steps") or ((record.get("recipe") or {}).get("trainer") or {}).get("max_steps")
    return steps if isinstance(steps, int) and steps > 0 else None


def last_step(steps: Iterable[Any]) -> int:
    """The largest step that was logged or swept; 0 if none was."""
    return max((step for step in steps if isinstance(step, int)), default=0)


def _of(reached: int, planned: int | None) -> str:
    return f"{reached:,}" if planned is None else f"{reached:,} of {planned:,}"


def _last_written(folder: RunFolder) -> str:
    """The time of the newest of the files that a run writes all the time; its watchdog touches the logs each second."""
    files = [folder.record, folder.metrics, folder.sweeps, *folder.logs.glob("rank-*.log")]
    newest = max(file.stat().st_mtime for file in files if file.is_file())
    return datetime.fromtimestamp(newest).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def _how_to_resume(folder: RunFolder, record: Mapping[str, Any]) -> str:
    complete = folder.complete_checkpoints()
    where = (
        f"after step {step_of(complete[-1]):,}, from {complete[-1].name}"
        if complete
        else "from its beginning, since no checkpoint is complete; finished references and thoughts are kept"
    )
    return f"To resume ({where}): {resuming_command(record, folder.path, complete)}"


def resuming_command(record: Mapping[str, Any], folder: Path, complete: Sequence[Path]) -> str:
    """The command that started a run, in its folder again; `complete`: its complete checkpoints."""
    # with a checkpoint of its own a run no longer needs the one that it was given; `never` would refuse the folder
    dropped = ("run.dir=", "run.resume=") if complete else ("run.dir=", "run.resume=never")
    given = [str(text) for text in record.get("command") or [] if not str(text).startswith(dropped)]
    ranks = record.get("ranks") or 1
    launcher = ["python"] if ranks == 1 else ["deepspeed", "--num_accelerators", str(ranks)]
    return shlex.join([*launcher, "launch/train.py", *given, f"run.dir={folder}"])
