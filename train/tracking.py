"""Weights & Biases: online where a key is set, offline otherwise, and never the only copy of anything."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from recipes.schema import WandbSection

Row = dict[str, Any]

AT_BUDGET = {
    "accuracy": "acc",
    "low": "low",
    "high": "high",
    "closed": "closed",
    "looping": "looping",
    "cut": "cut",
    "tokens_spent": "tokens",
    "answer_tokens": "answer_tokens",
}
OF_A_SWEEP = ("level", "base", "gain_per_doubling", "gain_low", "gain_high", "termination", "verdict")
INIT_SECONDS = "30"
"""how long a server may take to answer before a run goes on offline; WANDB_INIT_TIMEOUT says otherwise"""

PLACES_OF_A_START = 10_000_000
"""more rows than one start of a run logs"""


class Tracker(Protocol):
    """Where numbers go beside the run folder."""

    def log(self, values: Mapping[str, Any], step: int) -> None: ...

    def log_sweep(self, rows: Sequence[Row], step: int) -> None: ...

    def finish(self, summary: Mapping[str, Any]) -> None: ...


class NoTracker:
    """Logs nothing: W&B is disabled, or this is not rank 0."""

    def log(self, values: Mapping[str, Any], step: int) -> None:
        pass

    def log_sweep(self, rows: Sequence[Row], step: int) -> None:
        pass

    def finish(self, summary: Mapping[str, Any]) -> None:
        pass


class CarefulTracker:
    """Another tracker, until it fails: that is said once, and the run goes on without it. No number is lost, since the
    run folder has them all."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker

    def log(self, values: Mapping[str, Any], step: int) -> None:
        self._try(lambda: self.tracker.log(values, step))

    def log_sweep(self, rows: Sequence[Row], step: int) -> None:
        self._try(lambda: self.tracker.log_sweep(rows, step))

    def finish(self, summary: Mapping[str, Any]) -> None:
        self._try(lambda: self.tracker.finish(summary))

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as fault:  # whatever a library or a disk does: it only watches
            _say_lost(fault)
            self.tracker = NoTracker()


def _say_lost(fault: Exception) -> None:
    first = (str(fault).strip().splitlines() or [type(fault).__name__])[0]
    print(f"W&B failed ({first[:200]}); the run goes on without it", file=sys.stderr, flush=True)


class WandbTracker:
    """One W&B run. Every row carries `train/global_step`, the axis of all curves; W&B's own step is only its place.

    An offline run that is resumed writes a second folder of the same id, which W&B would count from 0 again: of two
    rows at one place a server takes the first alone. So the rows of each start have places of their own, in order.
    """

    def __init__(self, run: Any, first_place: int = 0) -> None:
        self.run, self.place = run, first_place
        run.define_metric("train/global_step")
        for pattern in ("train/*", "sweep/*", "unpruned/*"):
            run.define_metric(pattern, step_metric="train/global_step")

    def log(self, values: Mapping[str, Any], step: int) -> None:
        self._log({f"train/{key}": value for key, value in values.items()}, step)

    def log_sweep(self, rows: Sequence[Row], step: int) -> None:
        """Curves per budget, the numbers of each suite, and the sweep as a table."""
        import wandb

        columns = [key for key in rows[0] if key != "protocol"]
        at_budgets = [row for row in rows if row["budget"] is not None]
        table = wandb.Table(columns=columns, data=[[row.get(column) for column in columns] for row in at_budgets])
        self._log({**sweep_values(rows), f"sweep/table_{rows[0]['model']}_{step}": table}, step)

    def _log(self, values: Mapping[str, Any], step: int) -> None:
        self.run.log({**values, "train/global_step": step}, step=self.place, commit=True)
        self.place += 1

    def finish(self, summary: Mapping[str, Any]) -> None:
        self.run.summary.update(dict(summary))
        self.run.finish()


def sweep_values(rows: Sequence[Row]) -> dict[str, float | str]:
    """The flat numbers of a sweep by their names in W&B: `sweep/chain/acc@b128`, `sweep/chain/gain_per_doubling`.

    The pruned model is step 0 of these curves; the unpruned one stands apart, under `unpruned/`.
    """
    values: dict[str, float | str] = {}
    for row in rows:
        prefix = f"{'unpruned' if row['model'] == 'unpruned' else 'sweep'}/{row['suite']}"
        if row["budget"] is not None:
            values |= {f"{prefix}/{short}@b{row['budget']}": row[key] for key, short in AT_BUDGET.items()}
        else:
            values |= {f"{prefix}/{key}": row[key] for key in OF_A_SWEEP if row.get(key) is not None}
    return values


def confirmed_values(confirmed: Mapping[str, Any] | None) -> dict[str, Any]:
    """The figures of a confirmed checkpoint for the summary: `confirmed/verdict`, `confirmed/level` …; {} without."""
    keys = (
        "step",
        "problems",
        "verdict",
        "level",
        "level_low",
        "level_high",
        "gain_per_doubling",
        "gain_low",
        "gain_high",
    )
    return {f"confirmed/{key}": confirmed[key] for key in keys} if confirmed else {}


def wandb_mode(section: WandbSection) -> str:
    """online, offline or disabled: auto is online where a key is set, and WANDB_MODE counts as for any W&B program."""
    if section.mode != "auto":
        return section.mode
    if os.environ.get("WANDB_MODE") in ("online", "offline", "disabled"):
        return os.environ["WANDB_MODE"]
    return "online" if "WANDB_API_KEY" in os.environ or _netrc_has_key() else "offline"


def _netrc_has_key() -> bool:
    try:
        return "wandb" in (Path.home() / ".netrc").read_text(errors="replace")
    except (OSError, RuntimeError):  # no such file, or no home
        return False


def start_tracker(section: WandbSection, folder: Path, facts: Mapping[str, Any], group: str) -> Tracker:
    """Begins (or goes on with) the W&B run whose id is the run's own; call on rank 0. Falls back to offline, and to
    nothing: a tracker never stops a run."""
    mode = wandb_mode(section)
    if mode == "disabled":
        return NoTracker()
    try:
        return CarefulTracker(_start(section, folder, facts, group, mode))
    except Exception as fault:  # a folder that cannot be written, a release that changed
        _say_lost(fault)
        return NoTracker()


def _start(section: WandbSection, folder: Path, facts: Mapping[str, Any], group: str, mode: str) -> WandbTracker:
    os.environ.setdefault("WANDB_SILENT", "true")
    import wandb

    seconds = float(os.environ.get("WANDB_INIT_TIMEOUT", INIT_SECONDS))

    def begin(mode: Literal["online", "offline"]) -> WandbTracker:
        run = wandb.init(
            id=facts["id"],
            resume="allow",
            name=facts["name"],
            project=section.project,
            entity=section.entity,
            mode=mode,
            group=section.group or group,
            job_type="train",
            dir=str(folder),
            config=dict(facts),
            settings=wandb.Settings(console="off", init_timeout=seconds),
        )
        return WandbTracker(run, PLACES_OF_A_START * (len(facts.get("starts", [{}])) - 1))

    if mode == "online":
        try:
            tracker = begin("online")
            print(f"W&B    {tracker.run.url}", flush=True)
            return tracker
        except wandb.errors.Error as fault:
            print(
                f"W&B cannot be reached ({str(fault).splitlines()[0]}); going on offline, "
                "`wandb sync` sends the run later",
                file=sys.stderr,
            )
            wandb.teardown()  # the failed attempt still holds the run's id
    return begin("offline")
