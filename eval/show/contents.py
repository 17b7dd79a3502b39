"""The contents of a run's report, section by section: sentences, charts and tables in the order of the page.

Empty sections are left out; the page names them at its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eval.numbers.summary import Row, newest, steps
from eval.show import sections, sweep_charts
from eval.show.answers import long_answers
from eval.show.chart import Chart, spread
from eval.show.costs import pays_text
from eval.show.sections import Table
from eval.show.tables import gain_note
from eval.show.thoughts import Thoughts
from eval.show.training_charts import training_charts

MOST_SWEEPS = 100
"""sweeps of one run on a page; more are thinned evenly"""
APART = ("prune_plan", "versions", "recipe")  # keys of run.json that have sections of their own


@dataclass(frozen=True)
class Section:
    """says: sentences at the top; then charts and tables (caption -> table, empty ones are left out); text: shown
    unchanged."""

    title: str
    says: tuple[str, ...] = ()
    charts: Sequence[Chart] = ()
    tables: Mapping[str, Table] = field(default_factory=dict)
    text: str = ""
    thoughts: Thoughts | None = None

    @property
    def anchor(self) -> str:
        return "".join(letter if letter.isalnum() else "-" for letter in self.title.lower())

    @property
    def filled(self) -> dict[str, Table]:
        return {caption: table for caption, table in self.tables.items() if table.lines}

    @property
    def empty(self) -> bool:
        return not (self.charts or self.filled or self.text or self.thoughts)


@dataclass(frozen=True)
class Source:
    """What was read from a run folder: sweeps.jsonl, metrics.jsonl, run.json, recipe.yaml, the rows of a confirmation,
    and the thoughts, or why there are none; suite: the one with the verdict."""

    rows: Sequence[Row]
    metrics: Sequence[Row]
    record: dict[str, Any]
    recipe: str
    suite: str
    confirmed: Sequence[Row] = ()
    thoughts: Thoughts | None = None
    fault: str = ""


def contents(source: Source) -> list[Section]:
    """All sections, including empty ones."""
    rows, suite = thinned(source.rows, source.suite), source.suite
    return [
        *_accuracy(source, rows),
        Section(
            "Accuracy by tokens spent",
            ("The tokens that thoughts really used, which may be below the budget; then including the answers.",),
            sweep_charts.by_tokens(rows, suite),
        ),
        Section(
            "Other suites", (), sweep_charts.others(rows, suite), {"Other suites": sections.other_suites(rows, suite)}
        ),
        _recovered(source),
        _by_step(source, rows),
        _thoughts(source),
        *_writing(rows, suite),
        _training(source, rows),
        *_run(source),
    ]


def thinned(rows: Sequence[Row], suite: str) -> list[Row]:
    """The rows of at most MOST_SWEEPS sweeps of the run, and all of the references."""
    kept = set(spread(steps(rows, "run", suite), MOST_SWEEPS))
    return [row for row in rows if row["model"] != "run" or row["suite"] != suite or row["step"] in kept]


def _accuracy(source: Source, rows: Sequence[Row]) -> list[Section]:
    return [
        Section(
            "Accuracy by thinking budget",
            (_intervals(source),),
            (),
            {"Accuracy": sections.by_budget(rows, source.suite)},
        ),
        Section(
            "Confirmed on problems that no sweep saw",
            (
                "The kept checkpoint, evaluated once: nothing was chosen on these problems, and the verdict has 95 % "
                "intervals.",
            ),
            (),
            {"Accuracy of the kept checkpoint": sections.confirmed(source.confirmed)},
        ),
    ]


def _intervals(source: Source) -> str:
    """What the brackets are, and how many problems and thoughts they are based on."""
    verdict = newest(source.rows, "run", source.suite)[1]
    unit = "groups of problems" if verdict and verdict.get("groups") else "problem"
    parts = [f"Brackets are 95 % intervals of this sweep, clustered by {unit}"]
    if note := gain_note(verdict):
        parts.append(f"; the gain of the recovered model has the interval of the verdict ({note})")
    if not verdict:
        return "".join([*parts, "."])
    parts.append(f". {verdict['problems']} problems, {verdict['samples']} thought(s) each")
    if verdict.get("missing"):
        parts.append(
            f", {verdict['missing']} thoughts missing (>=: the accuracy if all of them were wrong; long thoughts are "
            "more likely to be missing)"
        )
    if verdict.get("paired") is not None:
        parts.append(f"; {verdict['paired']} problems are paired with both references")
    return "".join([*parts, "."])


def _recovered(source: Source) -> Section:
    rows, suite = source.rows, source.suite
    note = gain_note(newest(rows, "run", suite)[1])
    pays = pays_text(source.record, rows, suite)
    intervals = (
        f"The intervals are those of the verdict ({note})." if note else "The intervals are those of the verdict."
    )
    factors = (
        "Times its tokens: the thinking tokens that the recovered model needs for the unpruned model's accuracy, as a "
        "multiple of the unpruned model's, interpolated between budgets, with 95 % intervals of this sweep."
    )
    costs = f"{pays}. (Two FLOPs per parameter and token, thought and answer; intervals hold for all budgets together.)"
    tables = {
        "Shares that the verdict rests on": sections.kept(rows, suite),
        "Recovered fraction at each budget": sections.recovered(rows, suite),
        "Tokens for the same accuracy": sections.token_factors(rows, suite),
    }
    says = (f"Level is the accuracy at the largest budget. {intervals}", factors, *([costs] if pays else []))
    return Section("Recovered shares", says, (), tables)


def _by_step(source: Source, rows: Sequence[Row]) -> Section:
    suite = source.suite
    says = ["Base is the accuracy at the smallest budget, level at the largest."]
    if gain_note(newest(rows, "run", suite)[1]):
        says.append(
            "Each gain of the run has the interval of the verdict at its step; these intervals hold simultaneously "
            "over all sweeps in at least 95 % of runs."
        )
    swept = len(steps(source.rows, "run", suite))
    if swept > MOST_SWEEPS:
        says.append(f"{MOST_SWEEPS} of {swept} sweeps are shown, evenly spread; sweeps.jsonl has all.")
    tables = {
        "When half of each loss was recovered": sections.half_recovered(source.rows, suite),
        "Sweeps by step": sections.by_step(rows, suite),
    }
    return Section("Recovery by step", tuple(says), sweep_charts.by_step(rows, suite), tables)


def _thoughts(source: Source) -> Section:
    title = "Thoughts side by side"
    if source.thoughts is None:
        return Section(title, text=source.fault)
    shown = source.thoughts
    says: tuple[str, ...] = (
        f"The first thought about {len(shown.problems)} of {shown.count} problems, chosen in turn from every "
        f"combination of grades at the largest budget ({shown.budgets[-1]} tokens); the table counts these. Each "
        "thought is generated once; at every budget it is truncated, closed and answered. A mark in a thought shows "
        "where a budget truncates it: the answer at this budget is based on the text before the mark.",
    )
    if shown.unplaced:
        says += (
            f"{shown.unplaced} of the shown thoughts have no marks: their samples file is of an earlier version, which "
            "did not record the places, or the tokenizer spells the beginning of a thought otherwise when it is alone.",
        )
    return Section(title, says, (), {"Grades at the largest budget, first thoughts": shown.kinds}, thoughts=shown)


def _writing(rows: Sequence[Row], suite: str) -> list[Section]:
    return [
        Section(
            "How thoughts end",
            tuple(long_answers(rows, suite)),
            (),
            {"Endings by model and budget": sections.endings(rows, suite)},
        ),
        Section(
            "Repetition, diversity and reflection in thoughts",
            (
                "Terminated, looping: shares of thoughts within the largest budget. The other columns are means over "
                "whole thoughts. Repetition: share of 4-word sequences that occur earlier in the same thought. "
                "Self-BLEU: how similar the sentences of a thought are (1: each is repeated). The last three: marks "
                "per 1,000 words, by word lists for English (judged: by a model).",
            ),
            (),
            {"Style of thoughts": sections.style(rows, suite)},
        ),
        Section(
            "Parallel scaling",
            (),
            sweep_charts.parallel(rows, suite),
            {"pass@k and maj@k": sections.parallel(rows, suite)},
        ),
    ]


def _training(source: Source, rows: Sequence[Row]) -> Section:
    tables = {
        "Training in numbers": sections.training(source.metrics, source.record),
        "What sweeps took": sections.sweep_costs(rows, source.suite),
    }
    return Section("Training", (), training_charts(source.metrics), tables)


def _run(source: Source) -> list[Section]:
    record = source.record
    return [
        Section("Prune plan", (), (), {"Prune plan": sections.facts(record.get("prune_plan"))}),
        Section("Run", (), (), {"Run": sections.facts({k: v for k, v in record.items() if k not in APART})}),
        Section("Versions", (), (), {"Versions": sections.facts(record.get("versions"))}),
        Section("Recipe", text=source.recipe),
    ]
