"""The contents of a figure, independent of its drawing: lines of points with intervals, levels, and texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Line = Literal["solid", "dashed", "dotted"]
Mark = Literal["circle", "square", "triangle", "none"]
Scale = Literal["linear", "log2"]


@dataclass(frozen=True)
class Tone:
    """A colour for light pages and one for dark pages, each with a contrast of at least 3:1."""

    light: str
    dark: str


UNPRUNED = Tone("#6a737d", "#b1bac4")
PRUNED = Tone("#c2410c", "#ff8c5a")
RUN = Tone("#0a58ca", "#58a6ff")
PALE, DEEP = Tone("#7b95b5", "#7089a8"), RUN
"""earlier sweeps of a run have tones between these"""
FEW, MANY = Tone("#b7791f", "#f2c14e"), Tone("#3b2f8f", "#a78bfa")
"""budgets have tones between these, from the smallest to the largest"""
RUNS = (
    Tone("#0a58ca", "#58a6ff"),
    Tone("#0b7a53", "#3fcf9b"),
    Tone("#a8327d", "#ef8fc9"),
    Tone("#9a6700", "#e3b341"),
    Tone("#0e7490", "#56c7de"),
    Tone("#8c4a2f", "#d9a184"),
    Tone("#5b4bb7", "#a99bf5"),
)


@dataclass(frozen=True)
class Point:
    """One measured value; low and high: the ends of its interval, None if it has none."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Series:
    """Points by increasing x, joined by a line."""

    label: str
    points: tuple[Point, ...]
    tone: Tone
    line: Line = "solid"
    width: float = 2.0
    mark: Mark = "circle"
    band: bool = True


@dataclass(frozen=True)
class Level:
    """A horizontal line: a reference that is constant along the figure."""

    label: str
    y: float
    tone: Tone
    line: Line = "dashed"


@dataclass(frozen=True)
class Chart:
    """One figure with one panel.

    name: unique on a page; along, up: titles of the axes, with the unit; unit_range: the vertical axis is that of
    accuracies and shares, 0 to 1; ticks: the marks of the horizontal axis (() for round numbers); zero: the label of 0
    on a logarithmic axis; notes: texts required under the figure.
    """

    name: str
    title: str
    along: str
    up: str
    series: tuple[Series, ...]
    scale: Scale = "linear"
    unit_range: bool = True
    ticks: tuple[float, ...] = ()
    zero: str = "off"
    levels: tuple[Level, ...] = ()
    notes: tuple[str, ...] = ()


def between(first: Tone, last: Tone, index: int, count: int) -> Tone:
    """The tone of the item `index` of `count` on the way from `first` to `last`, in equal steps."""
    part = index / (count - 1) if count > 1 else 1.0
    return Tone(_mixed(first.light, last.light, part), _mixed(first.dark, last.dark, part))


def _mixed(first: str, last: str, part: float) -> str:
    pairs = [(int(first[at : at + 2], 16), int(last[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(start + part * (end - start)):02x}" for start, end in pairs)


def number(value: float) -> str:
    """A number in few characters: `0.95`, `1,024`, `4e-05`."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2g}" if abs(value) < 0.01 else f"{value:.3g}"


def described(chart: Chart) -> str:
    """The figure in sentences, for readers who cannot see it: the ends of each line, and the levels."""
    parts = [f"{chart.up} along {chart.along}."]
    for series in chart.series:
        first, last = series.points[0], series.points[-1]
        way = f"{number(first.y)} at {number(first.x)}"
        way += f" to {number(last.y)} at {number(last.x)}" if last is not first else ""
        parts.append(f"{series.label}: {way}.")
    parts += [f"{level.label}: {number(level.y)} throughout." for level in chart.levels]
    return " ".join(parts)


def legend(chart: Chart) -> list[tuple[Series | Level, str]]:
    """The legend's entries, the main lines first; unmarked lines of earlier sweeps share one entry."""
    main = [series for series in chart.series if series.mark != "none"]
    faint = [series for series in chart.series if series.mark == "none"]
    named: list[tuple[Series | Level, str]] = [(series, series.label) for series in main]
    named += [(level, level.label) for level in chart.levels]
    if len(faint) > 2:
        first, last = (series.label.removeprefix("recovered, ") for series in (faint[0], faint[-1]))
        return [*named, (faint[-1], f"earlier sweeps, pale to dark: {first} to {last}")]
    return named + [(each, each.label) for each in faint]


def data_lines(chart: Chart) -> list[list[str]]:
    """The same data as a table: one line per point and level."""
    lines = [
        [series.label, number(point.x), number(point.y), _span(point)]
        for series in chart.series
        for point in series.points
    ]
    return lines + [[level.label, "all", number(level.y), ""] for level in chart.levels]


def _span(point: Point) -> str:
    return "" if point.low is None or point.high is None else f"{number(point.low)} to {number(point.high)}"


def spread(items: Sequence[int], most: int) -> list[int]:
    """At most `most` of `items`, evenly spaced, always the first and the last."""
    if len(items) <= most:
        return list(items)
    return [items[round(index * (len(items) - 1) / (most - 1))] for index in range(most)]
