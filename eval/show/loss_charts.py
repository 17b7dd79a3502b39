"""The training losses of several runs in one figure: one line per run, over steps and over the tokens trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from eval.numbers.summary import Row
from eval.show.chart import Chart, Line, Point, Series, Tone
from eval.show.training_charts import MOST_POINTS as MOST_OF_A_RUN
from eval.show.training_charts import averaged, values_by_step

MOST_POINTS = 1000
"""total points of all runs in one figure; if runs logged more steps, each point is the mean of several"""
Points = list[tuple[float, float]]


class LoggedRun(Protocol):
    """A run's name, its rows of metrics.jsonl and its run.json."""

    @property
    def name(self) -> str: ...
    @property
    def logged(self) -> Sequence[Row]: ...
    @property
    def record(self) -> Mapping[str, Any]: ...


def loss_charts(runs: Sequence[LoggedRun], looks: Sequence[tuple[Tone, Line]]) -> list[Chart]:
    """Loss over training steps, and over tokens if they were logged; nothing if no run logged two losses. `looks`: the
    colour and dashes of each run."""
    most = min(MOST_OF_A_RUN, max(2, MOST_POINTS // len(runs)))
    shown = (
        ("loss-steps", "Training loss by step", "training step", [_by_step(run.logged) for run in runs]),
        ("loss-tokens", "Training loss by tokens", "tokens trained on", [_by_tokens(run.logged) for run in runs]),
    )
    charts = []
    for name, title, along, of_runs in shown:
        thinned = [averaged(points, most) for points in of_runs]
        series = tuple(
            _series(run, points, look)
            for run, (points, _), look in zip(runs, thinned, looks, strict=True)
            if len(points) > 1
        )
        if series:
            largest = max(each for _, each in thinned)
            notes = (f"Each point is the mean of up to {largest} logging steps.",) if largest > 1 else ()
            charts.append(Chart(name, title, along, "loss", series, unit_range=False, notes=notes))
    return charts


def loss_notes(runs: Sequence[LoggedRun]) -> tuple[str, ...]:
    """Which runs have no line, and whether the losses of the others are the same quantity."""
    drawn = [run for run in runs if len(_by_step(run.logged)) > 1]
    without = [run.name for run in runs if len(_by_step(run.logged)) < 2]
    notes = [f"Without logged losses: {', '.join(without)}."] if drawn and without else []
    kinds = {str(_quantity(run.record.get("loss") or {})) for run in drawn}
    if len(kinds) > 1:
        notes.append("The runs' losses are different quantities (recipe key loss): compare their course, not values.")
    return tuple(notes)


def _quantity(loss: Mapping[str, Any]) -> dict[str, Any]:
    """What a loss measures; where its second model lies does not matter."""
    return {key: value for key, value in sorted(loss.items()) if key != "teacher"}


def _series(run: LoggedRun, points: Points, look: tuple[Tone, Line]) -> Series:
    tone, dashes = look
    return Series(run.name, tuple(Point(x, y) for x, y in points), tone, dashes, 2.0, band=False)


def _by_step(logged: Sequence[Row]) -> Points:
    return values_by_step(logged, lambda row: row.get("loss"))


def _by_tokens(logged: Sequence[Row]) -> Points:
    """(tokens trained on so far, loss); [] if a row does not say its tokens, since all later ones would be wrong."""
    by_step = {row["step"]: row for row in logged if "step" in row}
    rows = [by_step[step] for step in sorted(by_step)]
    if any(row.get("tokens") is None for row in rows):
        return []
    so_far, points = 0.0, []
    for row in rows:
        so_far += row["tokens"]
        if row.get("loss") is not None:
            points.append((so_far, row["loss"]))
    return points
