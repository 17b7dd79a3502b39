"""The tracker of a run, in addition to its folder: W&B, online if a key is set and offline otherwise.

A tracker never stops a run and never has the only copy of anything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from recipes.agent import under_agent
from recipes.tracking import WandbSection
from train.wandb_run import Tracked, WandbTracker
from train.wandb_waits import wait_settings

Row = dict[str, Any]


class Tracker(Protocol):
    """Receives the numbers of a run in addition to its folder."""

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """Logs numbers of training at a step."""

    def log_sweep(self, rows: Sequence[Row], step: int) -> None:
        """Logs the rows of one sweep, of all suites, after they are in the run folder."""

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Logs the summary of a finished run, and its report, which exists already."""

    def keep(self, kind: str, path: Path) -> None:
        """Uploads a folder of weights, as the recipe requires."""

    def close(self, exit_code: int) -> str:
        """Ends tracking; returns a line for the terminal that says where the numbers are, or ""."""


class NoTracker:
    """Logs nothing: W&B is disabled, or this is not rank 0."""

    def log(self, values: Mapping[str, Any], step: int) -> None:
        pass

    def log_sweep(self, rows: Sequence[Row], step: int) -> None:
        pass

    def finish(self, summary: Mapping[str, Any]) -> None:
        pass

    def keep(self, kind: str, path: Path) -> None:
        pass

    def close(self, exit_code: int) -> str:
        return ""


class CarefulTracker:
    """Wraps another tracker. If that fails, prints a line once and the run continues without it. No number is lost,
    since the run folder has them all."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = self.begun = tracker

    def log(self, values: Mapping[str, Any], step: int) -> None:
        self._try(lambda: self.tracker.log(values, step))

    def log_sweep(self, rows: Sequence[Row], step: int) -> None:
        self._try(lambda: self.tracker.log_sweep(rows, step))

    def finish(self, summary: Mapping[str, Any]) -> None:
        self._try(lambda: self.tracker.finish(summary))

    def keep(self, kind: str, path: Path) -> None:
        self._try(lambda: self.tracker.keep(kind, path))

    def close(self, exit_code: int) -> str:
        """Ends also a tracker that failed: the process would wait for it at its own end."""
        try:
            return self.begun.close(exit_code)
        except Exception as fault:
            if self.tracker is self.begun:
                _say_lost(fault)
            return ""

    def _try(self, work: Callable[[], str | None]) -> str | None:
        try:
            return work()
        except Exception as fault:  # whatever a library or a disk raises: tracking is optional
            _say_lost(fault)
            self.tracker = NoTracker()
            return None


def _say_lost(fault: Exception) -> None:
    first = (str(fault).strip().splitlines() or [type(fault).__name__])[0]
    print(f"W&B failed ({first[:200]}); the run continues without it", file=sys.stderr, flush=True)


def wandb_mode(section: WandbSection) -> str:
    """online, offline or disabled. auto means WANDB_MODE as for any W&B program, else online if W&B finds a key (in its
    variables, settings or .netrc; no server is contacted)."""
    if section.mode != "auto":
        return section.mode
    if os.environ.get("WANDB_MODE") in ("online", "offline", "disabled"):
        return os.environ["WANDB_MODE"]
    return "online" if "WANDB_API_KEY" in os.environ or _finds_key() else "offline"


def _finds_key() -> bool:
    import wandb

    # a login that may print asks the server whose key it is, and a node without internet would wait for that
    said = wandb.setup().settings.silent
    wandb.setup(wandb.Settings(silent=True))
    try:
        return bool(wandb.login(prompt=False, verify=False))
    except Exception:  # an unreadable .netrc or invalid settings: a run without a key is offline
        return False
    finally:
        wandb.setup(wandb.Settings(silent=said))


def start_tracker(section: WandbSection, tracked: Tracked, group: str) -> Tracker:
    """Begins or resumes the W&B run with the run's own id; call it on rank 0. Falls back to offline, then to no
    tracking: a tracker never stops a run."""
    os.environ.setdefault("WANDB_SILENT", "true")
    try:
        mode = wandb_mode(section)
        return NoTracker() if mode == "disabled" else CarefulTracker(_start(section, tracked, group, mode))
    except Exception as fault:  # a folder that cannot be written, a changed release
        _say_lost(fault)
        return NoTracker()


def init_values(
    section: WandbSection, facts: Mapping[str, Any], group: str, environment: Mapping[str, str]
) -> dict[str, Any]:
    """The identity of a W&B run, for `wandb.init`: the recipe takes precedence over W&B's variables, and these over our
    defaults; under an agent, project and entity are the agent's. W&B determines values that are None."""
    agents = under_agent(environment)

    def default(variable: str, value: str) -> str | None:
        return None if variable in environment else value

    return {
        "id": facts["id"],
        "name": section.name or default("WANDB_NAME", facts["name"]),
        "project": None if agents else section.project or default("WANDB_PROJECT", "chainmend"),
        "entity": None if agents else section.entity,
        "group": section.group or default("WANDB_RUN_GROUP", group),
        "job_type": default("WANDB_JOB_TYPE", "train"),
        "tags": section.tags,
        "notes": section.notes,
    }


def _start(section: WandbSection, tracked: Tracked, group: str, mode: str) -> WandbTracker:
    import wandb

    # staged files of an offline run stay in its folder: a node may not be able to write to the home folder
    os.environ.setdefault("WANDB_DATA_DIR", str(tracked.wandb.absolute()))
    values, logged = init_values(section, tracked.facts, group, os.environ), tracked.logged()

    def begin(mode: Literal["online", "offline"]) -> WandbTracker:
        run = wandb.init(
            **values,
            resume="allow",
            mode=mode,
            dir=str(tracked.folder.path),
            config=dict(tracked.facts),
            settings=wandb.Settings(**wait_settings()),
        )
        return WandbTracker(run, tracked, logged)

    if mode == "online":
        try:
            tracker = begin("online")
            print(f"W&B    {tracker.run.url}", flush=True)
            return tracker
        except wandb.errors.Error as fault:
            print(
                f"W&B cannot be reached ({str(fault).splitlines()[0]}); continuing offline; "
                "`wandb sync` uploads the run later",
                file=sys.stderr,
            )
            wandb.teardown()  # the failed attempt still holds the run's id
    return begin("offline")
