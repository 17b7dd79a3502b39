"""Notes on the figures of the checkpoint that a run keeps: confirmed on problems that no sweep saw, or chosen as the
best of several sweeps without correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

from eval.numbers.selection import metric_values
from eval.numbers.summary import Row, newest
from eval.show.tables import WIDTH, align, budget_name, cell, gain_cell, share
from recipes.guard import sweep_metric

MODELS = {"unpruned": "unpruned", "pruned": "pruned", "run": "confirmed"}


def confirmed_facts(rows: Sequence[Row]) -> Row:
    """The facts for run.json from the rows of a confirmation: the numbers of the confirmed checkpoint."""
    at_budgets, summary = newest(rows, "run", str(rows[-1]["suite"]))
    assert summary is not None
    largest = at_budgets[-1]
    kept = ("step", "suite", "problems", "samples", "protocol", "gain_per_doubling", "gain_low", "gain_high")
    return {
        **{key: summary[key] for key in (*kept, "verdict", "verdict_line")},
        "level": largest["accuracy"],
        "level_low": largest["low"],
        "level_high": largest["high"],
        "largest_budget": largest["budget"],
    }


def confirmed_table(rows: Sequence[Row]) -> str:
    """The sweeps of a confirmation for the terminal, with the verdict; "" without rows."""
    if not rows:
        return ""
    suite = str(rows[-1]["suite"])
    sweeps = {name: newest(rows, model, suite) for model, name in MODELS.items()}
    last = sweeps["confirmed"][0][-1]
    lines = [["", *(budget_name(row["budget"]) for row in sweeps["confirmed"][0]), "gain per doubling"]]
    lines += [[name, *map(cell, at_budgets), gain_cell(summary)] for name, (at_budgets, summary) in sweeps.items()]
    title = (
        f"confirmed: step {last['step']} on {last['problems']} problems x {last['samples']} that no sweep saw "
        f"({suite}), evaluated once, 95 % intervals"
    )
    verdict = (sweeps["confirmed"][1] or {}).get("verdict_line") or "no verdict"
    return "\n".join([fill(title, WIDTH), align(lines), fill(verdict, WIDTH)])


def confirmed_text(confirmed: Mapping[str, Any]) -> str:
    """A confirmation in one line, from run.json."""
    earlier = f", after {confirmed['earlier']} other confirmation(s) of this run" if confirmed["earlier"] else ""
    return (
        f"Step {confirmed['step']} confirmed on {confirmed['problems']} problems that no sweep saw "
        f"({confirmed['suite']}), evaluated once{earlier}: {confirmed['verdict_line']}"
    )


def selection_note(rows: Sequence[Row], metric: str) -> str:
    """The required note on a checkpoint that was chosen as the best of several sweeps; "" for one sweep."""
    sweeps = len(metric_values(rows, sweep_metric(metric)))
    if sweeps < 2:
        return ""
    return (
        f"Best of {sweeps} sweeps by {metric}, uncorrected: the checkpoint was chosen on the same problems, so its "
        "figures are biased upward, and their intervals do not account for the choice."
    )


def note_on(step: int, confirmed: Mapping[str, Any] | None, selection: str) -> str:
    """The required note on the checkpoint of `step` in a run with this confirmation; `selection`: if it was chosen.

    Never shows the figures of another checkpoint.
    """
    if confirmed is not None and confirmed["step"] == step:
        return confirmed_text(confirmed)
    other = f"Not confirmed: the confirmed checkpoint is that of step {confirmed['step']}." if confirmed else ""
    return " ".join(filter(None, [selection, other]))


def standing(record: Mapping[str, Any], rows: Sequence[Row]) -> list[str]:
    """The report's lines on the checkpoint that the run keeps: its confirmation, or the note on an unconfirmed best.

    record: run.json; rows: sweeps.jsonl.
    """
    confirmed, best = record.get("confirmed"), record.get("best")
    metric = (record.get("recipe") or {}).get("keep_best")
    lines = [confirmed_text(confirmed)] if confirmed else []
    if confirmed and confirmed["kept"] != confirmed["step"]:
        lines.append(
            f"The run now keeps step {confirmed['kept']}, which is not confirmed: a set of problems confirms only one "
            "checkpoint. Draw other problems with another sweep.confirm.seed."
        )
    if metric and best and not (confirmed and confirmed["step"] == best["step"]):
        note = selection_note(rows, metric)
        lines += [f"Step {best['step']}: {note}"] if note else []
    return lines


def standing_cell(record: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """The same in a cell: the confirmed word and level, or that a best one is uncorrected; `-` for neither."""
    confirmed = record.get("confirmed")
    if confirmed:
        span = f"{confirmed['level']:.2f} [{share(confirmed['level_low'])}, {share(confirmed['level_high'])}]"
        return f"{confirmed['verdict']}, {span} (step {confirmed['step']}, {confirmed['problems']} problems)"
    metric = (record.get("recipe") or {}).get("keep_best")
    sweeps = len(metric_values(rows, sweep_metric(metric))) if metric and record.get("best") else 0
    return f"best of {sweeps}, uncorrected" if sweeps > 1 else "-"
