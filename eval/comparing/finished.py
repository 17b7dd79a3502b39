"""A finished run as read from its folder: one of its sweeps, all its rows, its record and its cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from eval.numbers.selection import best_step
from eval.numbers.summary import Row, at_step, newest, totals, verdict_suite
from eval.show.confirmed import standing_cell
from recipes.errors import UserError
from recipes.file_names import name_fault
from recipes.guard import SweepMetric, sweep_metric
from runtime.files import read_rows
from runtime.run_folder import RunFolder

LAST, BEST = "last", "best"
LOGGED = ("step", "tokens", "seconds", "sweep_seconds", "loss")
"""the keys kept from a row of metrics.jsonl"""


@dataclass(frozen=True)
class Finished:
    """A run's name, its rows of one sweep after training on `suite` (`final`, and `summary` with budget null), all its
    rows, the file of that sweep's thoughts, its logged steps and their sums up to that sweep, whether the kept
    checkpoint is confirmed, and run.json."""

    name: str
    suite: str
    final: tuple[Row, ...]
    summary: Row
    rows: tuple[Row, ...]
    samples: Path
    totals: dict[str, float]
    standing: str
    record: Row = field(default_factory=dict)
    logged: tuple[Row, ...] = ()

    @cached_property
    def _by_sweep(self) -> dict[tuple[str, str, int], list[Row]]:
        """All rows by model, suite and step, since figures look up every sweep of every run."""
        found: defaultdict[tuple[str, str, int], list[Row]] = defaultdict(list)
        for row in self.rows:
            found[row["model"], row["suite"], row["step"]].append(row)
        return dict(found)

    @cached_property
    def _steps(self) -> dict[tuple[str, str], list[int]]:
        found: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for model, suite, step in sorted(self._by_sweep):
            found[model, suite].append(step)
        return dict(found)

    def steps(self, model: str, suite: str) -> list[int]:
        """The steps at which `model` was swept on `suite`, increasing."""
        return self._steps.get((model, suite), [])

    def sweep(self, model: str, suite: str, step: int) -> tuple[list[Row], Row | None]:
        """(rows by increasing budget, the row with budget null); ([], None) if there is no such sweep."""
        return at_step(self._by_sweep.get((model, suite, step), []), model, suite, step)

    def newest(self, model: str, suite: str) -> tuple[list[Row], Row | None]:
        """The same at the latest step."""
        swept = self.steps(model, suite)
        return self.sweep(model, suite, swept[-1]) if swept else ([], None)

    @property
    def own_steps(self) -> list[int]:
        """The steps at which the run was swept on the verdict suite, increasing."""
        return self.steps("run", self.suite)

    @property
    def budgets(self) -> tuple[int, ...]:
        return tuple(row["budget"] for row in self.final)


def read_run(folder: Path) -> Finished:
    """The last sweep of a run folder.

    Raises UserError, with its name, for a folder that is missing or has no sweep after training.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such run folder; give folders that `launch/train.py` wrote")
    files = RunFolder(folder)
    rows = read_rows(files.sweeps)
    try:
        suite = verdict_suite(rows) if rows else ""
        record = files.facts()
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise UserError(
            f"{folder}: sweeps.jsonl or run.json was changed by hand ({fault}); leave the run out"
        ) from None
    if suite and (refused := name_fault(suite)):
        raise UserError(f"{files.sweeps}: the suite {suite!r} {refused}; the folder was changed by hand")
    final, summary = newest(rows, "run", suite)
    if summary is None or not final or summary["step"] == 0:
        raise UserError(
            f"{folder}: unfinished, its sweeps.jsonl has no sweep after training; resume the run or leave it out"
        )
    samples = files.samples / suite / f"run-{summary['step']:06d}.jsonl"
    logged = tuple({key: row[key] for key in LOGGED if key in row} for row in read_rows(files.metrics))
    return Finished(
        name=folder.resolve().name,
        suite=suite,
        final=tuple(final),
        summary=summary,
        rows=tuple(rows),
        samples=samples,
        totals=_totals(logged, summary["step"]),
        standing=standing_cell(record, rows),
        record=record,
        logged=logged,
    )


def _totals(logged: Sequence[Row], step: int) -> dict[str, float]:
    return totals([row for row in logged if row.get("step", 0) <= step])


def at(run: Finished, step: int) -> Finished:
    """The same run at another of its sweeps. Raises UserError if it has none at that step."""
    final, summary = run.sweep("run", run.suite, step)
    if summary is None or not final:
        raise UserError(
            f"step={step}: {run.name} has no sweep there; it was swept at {', '.join(map(str, run.own_steps))}"
        )
    return replace(
        run,
        final=tuple(final),
        summary=summary,
        samples=run.samples.with_name(f"run-{step:06d}.jsonl"),
        totals=_totals(run.logged, step),
    )


def chosen(runs: Sequence[Finished], step: str) -> tuple[list[Finished], str]:
    """`runs` at the sweep that `step` names (last, best, or a number), and the notes on this choice.

    The best is by the metric that all the runs' recipes name as keep_best, else by the level on the verdict suite.
    Raises UserError for another word, or if a run has no such sweep.
    """
    if step == LAST:
        return list(runs), ""
    if step != BEST:
        if not (step.isascii() and step.isdigit()):
            raise UserError(f"step={step}: must be last, best, or the number of a step at which all runs were swept")
        return [at(run, int(step)) for run in runs], ""
    metric = _metric(runs)
    best = [best_step(run.rows, metric, [at for at in run.own_steps if at > 0]) for run in runs]
    for run, found in zip(runs, best, strict=True):
        if found is None:
            raise UserError(f"step=best: {run.name} has no sweep with {metric}; give step=last or a number")
    note = (
        f"Each run at its best sweep by {metric}, uncorrected: it was chosen on the same problems, so its figures are "
        "biased upward, and neither intervals nor p-values account for the choice."
    )
    return [at(run, found[0]) for run, found in zip(runs, best, strict=True) if found], note


def _metric(runs: Sequence[Finished]) -> SweepMetric:
    named = {(run.record.get("recipe") or {}).get("keep_best") for run in runs}
    (only,) = named if len(named) == 1 else (None,)
    return sweep_metric(only or f"sweep/{runs[0].suite}/level")
