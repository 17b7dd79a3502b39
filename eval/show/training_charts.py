"""Loss, learning rate and throughput over training steps as charts, from the rows of metrics.jsonl."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from eval.numbers.summary import Row
from eval.show.chart import RUN, Chart, Point, Series, Tone

MOST_POINTS = 250
"""points of a line; if there are more logging steps, each point is a mean of equally many"""
Value = Callable[[Row], float | None]


def training_charts(metrics: Sequence[Row]) -> list[Chart]:
    """One chart per number that at least two rows have."""
    shown: list[tuple[str, str, str, Value]] = [
        ("loss", "Training loss", "loss", lambda row: row.get("loss")),
        ("learning-rate", "Learning rate", "learning rate", lambda row: row.get("learning_rate")),
        ("throughput", "Throughput in training", "tokens per second", tokens_per_second),
    ]
    charts = []
    for name, title, up, value in shown:
        points = values_by_step(metrics, value)
        if len(points) > 1:
            drawn, each = averaged(points)
            notes = (f"Each point is the mean of {each} logging steps.",) if each > 1 else ()
            series = line("this run", drawn, RUN)
            charts.append(Chart(name, title, "training step", up, (series,), unit_range=False, notes=notes))
    return charts


def line(label: str, points: Sequence[tuple[float, float]], tone: Tone) -> Series:
    """A line of training: without marks, since it has many points."""
    return Series(label, tuple(Point(step, value) for step, value in points), tone, width=2.0, mark="none")


def values_by_step(metrics: Sequence[Row], value: Value) -> list[tuple[float, float]]:
    """(step, value) of the rows that have both; a step logged twice counts once, the later row."""
    found = {row["step"]: known for row in metrics if "step" in row and (known := value(row)) is not None}
    return sorted(found.items())


def tokens_per_second(row: Row) -> float | None:
    """Tokens per second over all ranks, without sweeps; for rows of earlier versions, from tokens and seconds."""
    if row.get("tokens_per_second") is not None:
        return float(row["tokens_per_second"])
    tokens, seconds = row.get("tokens"), row.get("seconds")
    return tokens / seconds if tokens is not None and seconds else None


def averaged(points: Sequence[tuple[float, float]], most: int = MOST_POINTS) -> tuple[list[tuple[float, float]], int]:
    """(points, the number of rows in each mean); at most `most`. The step of a mean is its last one."""
    each = max(1, -(-len(points) // most))
    groups = [points[start : start + each] for start in range(0, len(points), each)]
    return [(group[-1][0], fmean(value for _, value in group)) for group in groups], each
