"""A run folder to one self-contained report.html: the verdict, the curves, and where every number comes from.

`write_report(run_dir)` may be called at any time: what is not there yet is said to be "not measured". Read are
run.json, recipe.yaml, sweeps.jsonl and metrics.jsonl (`tokens`, `seconds` and `sweep_seconds` of a row are those since
the row before).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader

from eval.numbers.summary import Row, at_step, newest, read_rows, steps, suites, totals, verdict_suite
from eval.show.curves import SPENT, save
from eval.show.plots import curves_figure, training_figure
from eval.show.tables import (
    THOUGHT_HEAD,
    budget_name,
    cell,
    gain_cell,
    judge_note,
    judged_cells,
    share,
    thought_cells,
    way_of_asking,
)

MODELS = {"unpruned": "unpruned", "pruned": "pruned", "run": "recovered"}
SHOWN_APART = ("prune_plan", "versions")  # keys of run.json with a section of their own
LOST = 0.02  # differences between unpruned and pruned below this are not called a loss


@dataclass(frozen=True)
class Table:
    """Text cells; an empty `lines` is shown as "not measured"."""

    head: list[str]
    lines: list[list[str]]


def write_report(run_dir: Path) -> Path:
    """Draw the figures of `run_dir` and write its report.html (temporary name, then rename); returns the report's path.

    Raises UserError for a broken line in a .jsonl file.
    """
    rows, metrics = read_rows(run_dir / "sweeps.jsonl"), read_rows(run_dir / "metrics.jsonl")
    record, recipe = _json(run_dir / "run.json"), _text(run_dir / "recipe.yaml")
    suite = _suite(recipe, rows)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.get_template("report.html.j2").render(
        name=run_dir.resolve().name,
        suite=suite,
        recipe=recipe,
        figures=_figures(run_dir, rows, suite),
        verdict=newest(rows, "run", suite)[1],
        by_budget=by_budget(rows, suite),
        others=other_suites(rows, suite),
        recovered=recovered(rows, suite),
        way=way_back(rows, suite),
        first=came_back(rows, suite),
        endings=endings(rows, suite),
        style=style(rows, suite),
        parallel=parallel(rows, suite),
        training=training(metrics, record),
        sweep_costs=sweep_costs(rows, suite),
        plan=facts(record.get("prune_plan")),
        versions=facts(record.get("versions")),
        record=facts({k: v for k, v in record.items() if k not in SHOWN_APART}),
    )
    draft = run_dir / ".report.html.draft"
    draft.write_text(page, encoding="utf-8")
    return draft.replace(run_dir / "report.html")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_text(path) or "{}")
    except json.JSONDecodeError as error:
        return {path.name: f"not readable: {error.msg}"}
    return found if isinstance(found, dict) else {path.name: found}


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


def _figures(run_dir: Path, rows: Sequence[Row], suite: str) -> dict[str, str]:
    """Name to base64 PNG; the files are in run_dir/figures too."""
    if not rows:
        return {}
    folder = run_dir / "figures"
    paths = [
        save(curves_figure(rows, suite), folder / "accuracy_by_budget.png"),
        save(curves_figure(rows, suite, SPENT), folder / "accuracy_by_tokens_spent.png"),
    ]
    paths += [save(training_figure(rows, suite), folder / "way_back.png")] if steps(rows, "run", suite) else []
    return {path.stem: base64.b64encode(path.read_bytes()).decode("ascii") for path in paths}


def by_budget(rows: Sequence[Row], suite: str) -> Table:
    """Budgets down, models across: accuracy with its interval; the last line is the gain per doubling."""
    sweeps = {name: newest(rows, model, suite) for model, name in MODELS.items()}
    budgets = sorted({row["budget"] for found, _ in sweeps.values() for row in found})
    lines = [[budget_name(budget), *(_at(found, budget) for found, _ in sweeps.values())] for budget in budgets]
    lines += [["gain per doubling", *(gain_cell(whole) for _, whole in sweeps.values())]] if lines else []
    return Table(["thinking budget (tokens)", *sweeps], lines)


def _at(found: Sequence[Row], budget: int) -> str:
    return next((cell(row) for row in found if row["budget"] == budget), "not measured")


def other_suites(rows: Sequence[Row], suite: str) -> Table:
    """One line a suite: how it was asked, what guessing gives, accuracy at the largest budget of each model."""
    lines = []
    for name in (name for name in suites(rows) if name != suite):
        sweeps = [newest(rows, model, name)[0] for model in MODELS]
        last = max((found[-1] for found in sweeps if found), key=lambda row: row["budget"])
        guess = share(last["chance"]) if last.get("chance") else "-"
        lines.append([name, way_of_asking(last), guess, *(_at(found, last["budget"]) for found in sweeps)])
    return Table(["suite", "asked", "chance", *MODELS.values()], lines)


def recovered(rows: Sequence[Row], suite: str) -> Table:
    """The recovered fraction at each budget, with its interval."""
    whole = newest(rows, "run", suite)[1] or {}
    lines = [[budget_name(one["budget"]), _fraction(one)] for one in whole.get("recovered_fraction") or []]
    return Table(["thinking budget (tokens)", "(recovered - pruned) / (unpruned - pruned)"], lines)


def _fraction(one: Row) -> str:
    if one["fraction"] is None:
        return "undefined: no gap between unpruned and pruned is shown here"
    return f"{one['fraction']:.2f} [{one['low']:.2f}, {one['high']:.2f}]"


def way_back(rows: Sequence[Row], suite: str) -> Table:
    """Step by step: level, accuracy at the largest budget, gain, termination, looping; the references come first."""
    lines = []
    for model, title in MODELS.items():
        for step in steps(rows, model, suite):
            found, whole = at_step(rows, model, suite, step)
            if whole and found:
                name = f"step {step}" if model == "run" else title
                lines.append(
                    [
                        name,
                        "-" if whole["level"] is None else f"{whole['level']:.2f}",
                        cell(found[-1]),
                        gain_cell(whole),
                        "-" if whole["termination"] is None else f"{whole['termination']:.2f}",
                        f"{found[-1]['looping']:.2f}",
                        whole.get("verdict") or "-",
                    ]
                )
    return Table(
        ["", "level", "accuracy at the largest budget", "gain per doubling", "termination", "looping", "verdict"], lines
    )


def came_back(rows: Sequence[Row], suite: str) -> Table:
    """For termination, gain, level and accuracy at the largest budget: the first step with half of the loss back."""
    sweeps = [(step, _values(*at_step(rows, "run", suite, step))) for step in steps(rows, "run", suite)]
    unpruned, pruned = (_values(*newest(rows, model, suite)) for model in ("unpruned", "pruned"))
    lines = []
    for name in unpruned:
        if name in pruned:
            loss = unpruned[name] - pruned[name]
            back = [step for step, values in sweeps if values.get(name, -1.0) >= pruned[name] + loss / 2]
            when = f"step {back[0]}" if back else "not yet"
            lines.append(
                [name, f"{pruned[name]:.2f}", f"{unpruned[name]:.2f}", when if loss > LOST else "was not lost"]
            )
    return Table(["", "pruned", "unpruned", "half of the loss was back at"], lines)


def _values(found: Sequence[Row], whole: Row | None) -> dict[str, float]:
    if whole is None or not found:
        return {}
    values = {
        "termination": whole["termination"],
        "gain per doubling": whole["gain_per_doubling"],
        "level": whole["level"],
        "accuracy at the largest budget": found[-1]["accuracy"],
    }
    return {name: value for name, value in values.items() if value is not None}


def endings(rows: Sequence[Row], suite: str) -> Table:
    """How thoughts end, by model and budget: tokens spent and whether they kept to the budget, closed by themselves,
    looping, answer cut."""
    lines = [
        [
            name,
            budget_name(row["budget"]),
            f"{row['tokens_spent']:.0f}",
            f"{row['control']:.2f}" if "control" in row else "not measured",
            f"{row['closed']:.2f}",
            f"{row['looping']:.2f}",
            f"{row['cut']:.2f}",
        ]
        for model, name in MODELS.items()
        for row in newest(rows, model, suite)[0]
    ]
    head = ["model", "budget (tokens)", "tokens spent", "within budget", "closed", "looping", "answer cut"]
    return Table(head, lines)


def style(rows: Sequence[Row], suite: str) -> Table:
    """How the thoughts of each model and step end and are written (`eval.numbers.style`), and what a judge counted.

    A sweep without thoughts has no line.
    """
    lines = []
    for model, title in MODELS.items():
        for step in steps(rows, model, suite):
            at_budgets, whole = at_step(rows, model, suite, step)
            found = (whole or {}).get("style")
            if whole and found and found["words"]:
                name = f"step {step}" if model == "run" else title
                lines.append([name, f"{found['words']:.0f}", *thought_cells(whole, at_budgets[-1])])
                lines += _judged(name, found.get("judged"))
    return Table(["", "words", *THOUGHT_HEAD], lines)


def _judged(name: str, judged: Row | None) -> list[list[str]]:
    if not judged:
        return []
    note = f" ({judge_note(judged)})" if judged["missing"] else f" ({judged['judge']}, {judged['thoughts']} thoughts)"
    return [[f"{name}, judged{note}", "", *judged_cells(judged)]]


def parallel(rows: Sequence[Row], suite: str) -> Table:
    """pass@k and maj@n at the largest budget by model; no lines where there was one thought a problem."""
    wholes = {name: newest(rows, model, suite)[1] for model, name in MODELS.items()}
    sampled = {name: whole for name, whole in wholes.items() if whole and whole.get("pass_at_k")}
    lines = [
        [
            name,
            " · ".join(f"pass@{one['k']} {_bracketed(one['value'], one, '')}" for one in whole["pass_at_k"]),
            _bracketed(whole["maj_at_n"], whole, "maj_"),
            str(whole["samples"]),
        ]
        for name, whole in sampled.items()
    ]
    return Table(["model", "pass@k", "maj@n", "n"], lines)


def _bracketed(value: float, row: Row, of: str) -> str:
    """A number with its interval; without it where the row has none (rows of older runs)."""
    known = row.get(f"{of}low") is not None
    return f"{value:.2f} [{row[f'{of}low']:.2f}, {row[f'{of}high']:.2f}]" if known else f"{value:.2f}"


def training(metrics: Sequence[Row], record: dict[str, Any]) -> Table:
    """Steps, tokens, seconds, the share of time in sweeps and what was left out for it, first and last loss."""
    found, losses = totals(metrics), [row["loss"] for row in metrics if row.get("loss") is not None]
    lines = [["last logged step", str(metrics[-1]["step"])]] if metrics and "step" in metrics[-1] else []
    lines += [["tokens trained on", f"{found['tokens']:,.0f}"]] if "tokens" in found else []
    lines += [["seconds of training", f"{found['seconds']:,.0f}"]] if "seconds" in found else []
    if found.get("sweep_seconds") and "seconds" in found:
        share = found["sweep_seconds"] / (found["seconds"] + found["sweep_seconds"])
        lines.append(["share of time in sweeps", f"{share:.0%}"])
    if left := (record.get("sweeps_left_out") or {}).get("steps"):
        lines.append(
            [
                "sweeps left out",
                f"{len(left)} (steps {', '.join(map(str, left))}), which would have taken "
                f"more than {100 * record['sweeps_left_out']['max_share']:g} % of the time",
            ]
        )
    lines += [["loss, first to last", f"{losses[0]:.3f} to {losses[-1]:.3f}"]] if losses else []
    return Table(["", ""], lines)


def sweep_costs(rows: Sequence[Row], suite: str) -> Table:
    """Seconds of each sweep of all suites, and what it took of memory at its peak beside the weights, on rank 0."""
    lines = []
    for step in steps(rows, "run", suite):
        whole = at_step(rows, "run", suite, step)[1] or {}
        peak = whole.get("peak_memory_bytes")
        lines.append([f"step {step}", f"{whole.get('seconds', 0):.1f}", f"{peak / 1e9:.2f} GB" if peak else "-"])
    return Table(["", "seconds", "peak memory beside the weights"], lines)


def facts(found: Any) -> Table:
    """Key and value of a JSON object, nested values as compact JSON; no lines where there is none."""
    items = found.items() if isinstance(found, dict) else []
    return Table(["", ""], [[str(key), value if isinstance(value, str) else json.dumps(value)] for key, value in items])
