"""A run folder to one self-contained report.html: the verdict, the curves, and where every number comes from.

`write_report(run_dir)` may be called at any time: what does not exist yet is shown as "not measured". It reads
run.json, recipe.yaml, sweeps.jsonl and metrics.jsonl (`tokens`, `seconds` and `sweep_seconds` of a row are those since
the row before).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader

from eval.numbers.summary import Row, newest, steps, suites, verdict_suite
from eval.show import sections
from eval.show.answers import long_answers
from eval.show.confirmed import standing
from eval.show.costs import pays_text
from eval.show.curves import SPENT, TOTAL, save
from eval.show.plots import curves_figure, training_figure
from eval.show.tables import gain_note
from runtime.files import read_rows, write_whole
from runtime.run_folder import RunFolder

SHOWN_APART = ("prune_plan", "versions")  # keys of run.json with a section of their own


def write_report(run_dir: Path) -> Path:
    """Draw the figures of `run_dir` and write its report.html, whole or not at all; returns the report's path.

    Raises UserError for a broken line in a .jsonl file.
    """
    folder = RunFolder(run_dir)
    rows, metrics = read_rows(folder.sweeps), read_rows(folder.metrics)
    record, recipe = _json(folder.record), _text(folder.recipe)
    suite = _suite(recipe, rows)
    verdict = newest(rows, "run", suite)[1]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.get_template("report.html.j2").render(
        name=run_dir.resolve().name,
        suite=suite,
        recipe=recipe,
        figures=_figures(folder.figures, rows, suite),
        verdict=verdict,
        standing=standing(record, rows),
        confirmed=sections.confirmed(read_rows(folder.confirmed.sweeps)),
        gain_note=gain_note(verdict),
        by_budget=sections.by_budget(rows, suite),
        others=sections.other_suites(rows, suite),
        kept=sections.kept(rows, suite),
        recovered=sections.recovered(rows, suite),
        token_factors=sections.token_factors(rows, suite),
        pays=pays_text(record, rows, suite),
        by_step=sections.by_step(rows, suite),
        half_back=sections.half_recovered(rows, suite),
        endings=sections.endings(rows, suite),
        long_answers=long_answers(rows, suite),
        style=sections.style(rows, suite),
        parallel=sections.parallel(rows, suite),
        training=sections.training(metrics, record),
        sweep_costs=sections.sweep_costs(rows, suite),
        plan=sections.facts(record.get("prune_plan")),
        versions=sections.facts(record.get("versions")),
        record=sections.facts({k: v for k, v in record.items() if k not in SHOWN_APART}),
    )
    write_whole(folder.report, page)
    return folder.report


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_text(path) or "{}")
    except json.JSONDecodeError as error:
        return {path.name: f"not readable: {error.msg}"}
    return content if isinstance(content, dict) else {path.name: content}


def _suite(recipe: str, rows: Sequence[Row]) -> str:
    """The verdict suite: the recipe's, if it was swept; else the one with a verdict; "" where nothing was swept."""
    if not rows:
        return ""
    try:
        sweep = (yaml.safe_load(recipe) or {}).get("sweep") or {}
        name = (sweep.get("verdict") or {}).get("suite") or sweep["suites"][-1]["name"]
    except (yaml.YAMLError, AttributeError, KeyError, IndexError, TypeError):
        name = None
    return str(name) if name in suites(rows) else verdict_suite(rows)


def _figures(folder: Path, rows: Sequence[Row], suite: str) -> dict[str, str]:
    """Name to base64 PNG; the files are in `folder` too."""
    if not rows:
        return {}
    paths = [
        save(curves_figure(rows, suite), folder / "accuracy_by_budget.png"),
        save(curves_figure(rows, suite, SPENT), folder / "accuracy_by_tokens_spent.png"),
        save(curves_figure(rows, suite, TOTAL), folder / "accuracy_by_total_tokens.png"),
    ]
    paths += [save(training_figure(rows, suite), folder / "way_back.png")] if steps(rows, "run", suite) else []
    return {path.stem: base64.b64encode(path.read_bytes()).decode("ascii") for path in paths}
