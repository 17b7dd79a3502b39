"""A run folder to one self-contained report.html: the verdict, the curves, and where every number comes from.

`write_report(run_dir)` may be called at any time: empty sections are left out, and named at the end. It reads run.json,
recipe.yaml, sweeps.jsonl, metrics.jsonl (a row's `tokens`, `seconds` and `sweep_seconds` are those since the row
before), problems.jsonl and the samples.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from eval.numbers.summary import Row, newest, steps, suites, verdict_suite
from eval.show import sweep_charts
from eval.show.confirmed import standing
from eval.show.contents import Source, contents, thinned
from eval.show.curves import SPENT, TOTAL, save
from eval.show.page import render
from eval.show.plots import curves_figure, training_figure
from eval.show.thoughts import Thoughts, side_by_side
from runtime.files import read_rows, write_whole
from runtime.run_folder import RunFolder


def write_report(run_dir: Path, state: Sequence[str] = ()) -> Path:
    """Draws the figures of `run_dir` and writes its report.html atomically; returns the report's path.

    state: the lines on a run that has not finished (`eval.show.unfinished`). Raises UserError for a broken line in a
    .jsonl file.
    """
    folder = RunFolder(run_dir)
    rows = read_rows(folder.sweeps)
    _save_figures(folder.figures, rows, _suite(_text(folder.recipe), rows))
    write_whole(folder.report, report_page(run_dir, state))
    return folder.report


def report_page(run_dir: Path, state: Sequence[str] = ()) -> str:
    """The page only, without the image files next to it. Raises as `write_report` does."""
    source = _read(RunFolder(run_dir))
    return render(
        "report.html.j2",
        name=run_dir.resolve().name,
        subtitle=_subtitle(source),
        state=state,
        lead=sweep_charts.by_budget(thinned(source.rows, source.suite), source.suite) if source.rows else None,
        verdict=newest(source.rows, "run", source.suite)[1],
        standing=standing(source.record, source.rows),
        sections=contents(source),
    )


def _read(folder: RunFolder) -> Source:
    rows, recipe = read_rows(folder.sweeps), _text(folder.recipe)
    suite = _suite(recipe, rows)
    thoughts, fault = _thoughts(folder, rows, suite)
    return Source(
        rows=rows,
        metrics=read_rows(folder.metrics),
        record=_json(folder.record),
        recipe=recipe,
        suite=suite,
        confirmed=read_rows(folder.confirmed.sweeps),
        thoughts=thoughts,
        fault=fault,
    )


def _thoughts(folder: RunFolder, rows: Sequence[Row], suite: str) -> tuple[Thoughts | None, str]:
    """(the thoughts of the newest sweeps, "") or (None, why there are none)."""
    swept = {model: steps(rows, model, suite) for model in ("unpruned", "pruned", "run")}
    places = {model: at[-1] for model, at in swept.items() if at}
    try:
        return side_by_side(folder.samples, places, suite, read_rows(folder.problems)), ""
    except ValueError as fault:  # a sweep sets such a file aside and measures again; a report must not stop it
        return None, str(fault)


def _subtitle(source: Source) -> str:
    """The run's progress: the suite of the verdict and the newest step that was logged or swept."""
    reached = [row["step"] for row in (*source.rows, *source.metrics) if isinstance(row.get("step"), int)]
    parts = [f"Verdict suite: {source.suite}"] if source.suite else []
    parts += [f"step {max(reached)}"] if reached else []
    parts += [f"finished {source.record['finished']}"] if source.record.get("finished") else []
    return " · ".join(parts)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_text(path) or "{}")
    except json.JSONDecodeError as error:
        return {path.name: f"not readable: {error.msg}"}
    return content if isinstance(content, dict) else {path.name: content}


def _suite(recipe: str, rows: Sequence[Row]) -> str:
    """The verdict suite: the recipe's, if it was swept; else the one with a verdict; "" if nothing was swept."""
    if not rows:
        return ""
    try:
        sweep = (yaml.safe_load(recipe) or {}).get("sweep") or {}
        name = (sweep.get("verdict") or {}).get("suite") or sweep["suites"][-1]["name"]
    except (yaml.YAMLError, AttributeError, KeyError, IndexError, TypeError):
        name = None
    return str(name) if name in suites(rows) else verdict_suite(rows)


def _save_figures(folder: Path, rows: Sequence[Row], suite: str) -> None:
    """The images for model cards and trackers, which cannot show SVG."""
    if not rows:
        return
    save(curves_figure(rows, suite), folder / "accuracy_by_budget.png")
    save(curves_figure(rows, suite, SPENT), folder / "accuracy_by_tokens_spent.png")
    save(curves_figure(rows, suite, TOTAL), folder / "accuracy_by_total_tokens.png")
    if steps(rows, "run", suite):
        save(training_figure(rows, suite), folder / "way_back.png")
