"""One W&B run: which numbers it shows or hides, and which files are uploaded with it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.problem import Suite
from eval.numbers.summary import Row, suites
from runtime.files import read_rows
from runtime.run_folder import RunFolder
from train.logged import Logged, making_of
from train.tracked_tables import budget_lines, problem_table, sweep_table, sweeps_of
from train.tracked_values import (
    SWEEP_STEP,
    TRAIN_STEP,
    detail_values,
    newest_values,
    recovery_values,
    reference_values,
    training_values,
)
from train.wandb_file import is_offline, newest_start, starts, steps_in
from train.wandb_waits import ask, last_line, wait_for_uploads

HIDDEN = ("epoch", "seconds", "sweep_seconds", "tokens", "memory_allocated_bytes", "memory_reserved_bytes")
"""numbers of training without a chart by default"""

PLACES_OF_A_START = 10_000_000
"""more rows than any single start of a run logs"""


@dataclass(frozen=True)
class Tracked:
    """The tracked run: its folder, its facts in run.json, and its verdict suite."""

    folder: RunFolder
    facts: Mapping[str, Any]
    suite: Suite

    @property
    def wandb(self) -> Path:
        """W&B's local files and the record of logged steps."""
        return self.folder.path / "wandb"

    def logged(self) -> Logged:
        """What earlier starts have logged; call it before this start begins its own folder."""
        newest = newest_start(self.wandb, self.facts["id"])

        def survived() -> dict[str, int] | None:
            return steps_in(newest) if newest is not None and is_offline(newest) else None

        return Logged(self.wandb / "logged.json", making_of(self.facts), survived)


class WandbTracker:
    """One W&B run. Charts of training use `train/global_step`, those of sweeps `recovery/step`, since a background
    sweep arrives after its step; W&B's own step is only a row's index.

    A resumed offline run writes a second folder with the same id, which W&B would count from 0 again, and a server
    keeps only the first of two rows with the same index. So each start gets its own increasing range of indices. A
    second folder also knows nothing of the first, so the values of the summary are written into each (`newest_values`).
    """

    def __init__(self, run: Any, tracked: Tracked, logged: Logged) -> None:
        self.run, self.tracked = run, tracked
        self.place = PLACES_OF_A_START * (len(tracked.facts.get("starts", [{}])) - 1)
        self.logged = logged
        self.uploads: list[Any] = []
        self._define()
        self._catch_up()

    def _define(self) -> None:
        for step in (TRAIN_STEP, SWEEP_STEP):
            self.run.define_metric(step, hidden=True)
        for name in HIDDEN:
            self.run.define_metric(f"train/{name}", step_metric=TRAIN_STEP, hidden=True)
        self.run.define_metric("train/*", step_metric=TRAIN_STEP)
        self.run.define_metric("recovery/*", step_metric=SWEEP_STEP)
        self.run.define_metric("detail/*", step_metric=SWEEP_STEP, hidden=True)
        self.run.define_metric("reference/*", hidden=True)

    def _catch_up(self) -> None:
        """Logs rows of the run folder that W&B lacks, from a start that was killed or not tracked. Then updates the
        summary to the newest values."""
        folder, suite = self.tracked.folder, self.tracked.suite.name
        metrics, rows = read_rows(folder.metrics), read_rows(folder.sweeps)
        for row in metrics:
            if self.logged.is_new("train", row["step"]):
                self.log(row, row["step"])
        for model, step in sweeps_of(rows, suite):
            if self.logged.is_new("sweep" if model == "run" else f"reference/{model}", step):
                self._log_numbers([row for row in rows if (row["model"], row["step"]) == (model, step)])
        self._update(newest_values(rows, metrics, suite))

    def log(self, values: Mapping[str, Any], step: int) -> None:
        self._log_once("train", step, training_values(values, step))

    def log_sweep(self, rows: Sequence[Row], step: int) -> None:
        """Logs the numbers of a sweep; for a run also chart and tables with all earlier sweeps."""
        self._log_numbers(rows)
        if rows[0]["model"] == "run":
            # tables are artifacts, of which the server is asked; the next sweep's have all that these have
            ask(self.run, f"chart and tables of step {step}", lambda: self._log_row(self._pictures(step)))

    def _log_numbers(self, rows: Sequence[Row]) -> None:
        model, step = rows[0]["model"], rows[0]["step"]
        if model != "run":
            self._log_once(f"reference/{model}", step, reference_values(rows))
            return
        recovery = recovery_values(rows, self.tracked.suite.name)
        self._log_once("sweep", step, {**detail_values(rows), **recovery, SWEEP_STEP: step})

    def _log_once(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Logs a row of history if there is none of this step yet; always updates the summary to the newest numbers."""
        if self.logged.is_new(kind, step):
            self._log_row(values)
            self.logged.add(kind, step)
        self._update(values)

    def _log_row(self, values: Mapping[str, Any]) -> None:
        self.run.log(dict(values), step=self.place, commit=True)
        self.place += 1

    def _update(self, values: Mapping[str, Any]) -> None:
        said = {short: values[key] for short, key in SAID_SHORT.items() if key in values}
        self.run.summary.update({**values, **said})

    def _pictures(self, step: int) -> dict[str, Any]:
        """The chart of all budgets and the tables, complete and under constant names."""
        import wandb

        folder, suite = self.tracked.folder, self.tracked.suite
        rows = read_rows(folder.sweeps)
        lines, name = budget_lines(rows, suite.name), suite.name
        sweeps, problems = sweep_table(rows), problem_table(folder.samples, name, suite.problems, step)
        title = f"accuracy by thinking tokens ({name})"
        chart = wandb.plot.line_series(lines.budgets, lines.accuracies, keys=lines.names, title=title, xname="budget")
        return {
            **({"budget_curve": chart} if name in suites(rows) else {}),
            "sweeps": wandb.Table(columns=sweeps.columns, data=sweeps.data),
            "problems": wandb.Table(columns=problems.columns, data=problems.data),
        }

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Writes the final summary, and uploads the report with its figures as an artifact."""
        import wandb

        self.run.summary.update(dict(summary))
        folder = self.tracked.folder
        report = wandb.Artifact(f"report-{self.run.id}", "report")
        for file in (folder.report, *sorted(folder.figures.glob("*.png"))):
            if file.is_file():
                report.add_file(str(file), name=str(file.relative_to(folder.path)))
        ask(self.run, "the report", lambda: self.run.log_artifact(report))

    def keep(self, kind: str, path: Path) -> None:
        """Uploads a folder of weights as an artifact `<kind>-<id>`, with its origins: as hashes in the metadata and, if
        W&B is online, as the run's inputs."""
        import wandb

        ask(self.run, "the origins of the weights", self._use_origins)
        artifact = wandb.Artifact(f"{kind}-{self.run.id}", kind, metadata=origins(self.tracked.facts))
        # not copied first: a sealed folder does not change, and two copies of an 8B model may not fit on the disk
        artifact.add_dir(str(path), policy="immutable")
        ask(self.run, f"{kind} {path.name}", lambda: self._upload(artifact, ["latest", path.name]))

    def _upload(self, artifact: Any, aliases: list[str]) -> None:
        self.uploads.append(self.run.log_artifact(artifact, aliases=aliases))

    def _use_origins(self) -> None:
        """Declares the pruned model and the traces as inputs, by their hashes; offline W&B has no inputs."""
        import wandb

        of = origins(self.tracked.facts)
        for kind in () if self.run.offline else ("pruned_model", "traces"):
            if kind in of:
                origin = wandb.Artifact(f"{kind}-{of[kind].removeprefix('sha256:')[:16]}", kind)
                with origin.new_file("hash.txt") as file:
                    file.write(of[kind])
                self.run.use_artifact(origin)

    def close(self, exit_code: int) -> str:
        """Ends the W&B run; returns a line for the terminal that says where it is, or what sends the rest of it."""
        if exit_code:
            self.run.mark_preempting()  # a W&B sweep restarts such a run
        url, offline = self.run.url, self.run.offline
        if not offline:
            wait_for_uploads(self.run, self.uploads)
        try:
            self.run.finish(exit_code=exit_code)
        except TimeoutError:
            return last_line(self.run, url)
        finally:
            self.logged.close()
        return where(url, offline, self.tracked)


SAID_SHORT = {"verdict": "recovery/verdict", "gain_per_doubling": "recovery/gain_per_doubling"}
"""values that the summary also has under a short name"""


def origins(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The origins of a run's weights: hashes of the pruned model and of the prepared traces, run id and commit."""
    of = {
        "pruned_model": facts.get("pruned_fingerprint"),
        "traces": facts.get("data", {}).get("hash"),
        "run": facts.get("id"),
        "commit": facts.get("commit"),
    }
    return {key: value for key, value in of.items() if value is not None}


def where(url: str | None, offline: bool, tracked: Tracked) -> str:
    """The address of the run; offline, the command that uploads the folders of all its starts that were not
    uploaded."""
    if not offline:
        return f"W&B     {url}"
    folders = filter(is_offline, starts(tracked.wandb, tracked.facts["id"]))
    left = [folder for folder in folders if not list(folder.glob("*.wandb.synced"))]
    return f"W&B     wandb sync {shlex.join(str(folder) for folder in left)}"
