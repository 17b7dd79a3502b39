"""The chart and the tables of a tracker, as plain lists: accuracy against budget, all sweeps, and some problems with
the thoughts of each model. Each is always complete, so that the last one equals the run folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from data_prep.problem import Problem
from eval.kept_sweep import Place
from eval.numbers.history import read_verdict
from eval.numbers.summary import Row, at_step, steps, suites
from eval.samples import GradedThought
from eval.types import WhichModel
from recipes.terminal import plain
from train.tracked_values import recovery_values

PROBLEMS = 20
MOST_CHARACTERS = 4000
"""characters of a thought in a table; the middle of longer ones is replaced by a note"""


@dataclass(frozen=True)
class Table:
    columns: list[str]
    data: list[list[Any]]


@dataclass(frozen=True)
class Lines:
    """Lines of a chart: `names`, and for each its budgets and accuracies."""

    names: list[str]
    budgets: list[list[int]]
    accuracies: list[list[float]]


def sweeps_of(rows: Sequence[Row], suite: str) -> list[tuple[WhichModel, int]]:
    """(model, step) of all sweeps of a suite: unpruned, pruned, then the run's by step."""
    models: tuple[WhichModel, ...] = ("unpruned", "pruned", "run")
    return [(model, step) for model in models for step in steps(rows, model, suite)]


def budget_lines(rows: Sequence[Row], suite: str) -> Lines:
    """Accuracy against budget, one line per sweep of `suite`."""
    found = [(model, step, at_step(rows, model, suite, step)[0]) for model, step in sweeps_of(rows, suite)]
    return Lines(
        names=[f"step {step}" if model == "run" else model for model, step, _ in found],
        budgets=[[row["budget"] for row in at_budgets] for _, _, at_budgets in found],
        accuracies=[[row["accuracy"] for row in at_budgets] for _, _, at_budgets in found],
    )


def sweep_table(rows: Sequence[Row]) -> Table:
    """One row per sweep and suite: its verdict and numbers, and the accuracy at every budget of the run."""
    budgets = sorted({row["budget"] for row in rows if row["budget"] is not None})
    numbers = (
        *("level", "level_low", "level_high", "gain_per_doubling", "gain_low", "gain_high"),
        *("recovered_fraction", "gain_share", "termination", "verdict", "verdict_score"),
    )
    data: list[list[Any]] = []
    for suite in suites(rows):
        for model, step in sweeps_of(rows, suite):
            at_budgets, summary = at_step(rows, model, suite, step)
            # a reference has the same numbers except those that compare with it
            shown = recovery_values(
                [{**row, "model": "run"} for row in [*at_budgets, *([summary] if summary else [])]], suite
            )
            if reading := read_verdict(summary):
                shown["recovery/verdict"] = reading
            accuracies = {row["budget"]: row["accuracy"] for row in at_budgets}
            cells = [*(shown.get(f"recovery/{name}") for name in numbers), *(accuracies.get(each) for each in budgets)]
            data.append([suite, model, step, *cells])
    return Table(["suite", "model", "step", *numbers, *(f"acc@b{budget}" for budget in budgets)], data)


def problem_table(samples: Path, suite: str, problems: Sequence[Problem], step: int) -> Table:
    """The first problems of a suite with the thoughts and graded answers of all three models at the largest budget,
    side by side; those of the run are from `step`. With several samples, the first of each problem."""
    shown = problems[:PROBLEMS]
    places: dict[str, Place] = {
        "unpruned": Place(samples, "unpruned", 0),
        "pruned": Place(samples, "pruned", 0),
        "recovered": Place(samples, "run", step),
    }
    found = {name: _first_thoughts(place.file(suite), {each.id for each in shown}) for name, place in places.items()}
    columns = ["problem", "question", "gold"]
    columns += [column for name in places for column in (name, f"{name} correct")]
    data = [
        [plain(each.id), plain(each.question), plain(each.answer)]
        + [cell for name in places for cell in thought_cells(found[name].get(each.id))]
        for each in shown
    ]
    return Table(columns, data)


def _first_thoughts(file: Path, wanted: set[str]) -> dict[str, GradedThought]:
    """The first thought about each of the problems, by problem; reads no more of the file than necessary."""
    found: dict[str, GradedThought] = {}
    if not file.is_file():
        return found
    with file.open(encoding="utf-8", newline="\n") as lines:
        for line in islice(lines, 1, None):  # the first line is the header
            row = json.loads(line)
            if row["problem"] in wanted and row["sample"] == 0:
                found[row["problem"]] = GradedThought.of_row(row)
                if len(found) == len(wanted):
                    break
    return found


def thought_cells(thought: GradedThought | None) -> list[Any]:
    """[thought and answer at the largest budget as text, whether it is correct]; None for what is missing.

    If the thought did not terminate, or the answer was truncated, the text says so at that place.
    """
    if thought is None or not thought.answers:
        return [thought.failure and f"[missing: {plain(thought.failure)}]" if thought else None, None]
    last = thought.answers[-1]
    ends = {"close": "", "eos": " [ended without a close]", "loop": " [stopped: it loops]"}
    mark = ends.get(thought.stop, f" [cut at {last.thinking_tokens} tokens]")
    text = f"{_shortened(plain(thought.thinking))}{mark}\n\n{_shortened(plain(last.text))}"
    return [text + ("" if last.finished else " [answer truncated]"), last.grade.correct]


def _shortened(text: str) -> str:
    left_out = len(text) - MOST_CHARACTERS
    if left_out <= 0:
        return text
    half = MOST_CHARACTERS // 2
    return f"{text[:half]} [… {left_out} characters left out …] {text[-half:]}"
