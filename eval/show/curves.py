"""Accuracy curves on one axis: their selection and style, and the note on differing protocols.

Uses matplotlib's object API with the Agg canvas: no window, no global figure. Colours are distinguishable for
colour-blind readers and in grey: black for unpruned, vermilion dashes for pruned, blue from pale to dark for the
recovered model as training progresses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from eval.numbers.summary import Row, at_step, newest, steps
from runtime.files import replacing

UNPRUNED, PRUNED, RECOVERED, WARNING = "#9e9e9e", "#d55e00", "#08519c", "#a50026"
LEGEND_STEPS = 6  # maximum number of steps named in the legend; all are drawn
GREY = "#666666"
Line = Literal["-", "--", ":"]


@dataclass(frozen=True)
class Axis:
    """The horizontal axis of a figure: the key of a row, its title and label, and the name of its 0."""

    key: str
    title: str
    label: str
    zero: str


BUDGET = Axis("budget", "accuracy by thinking budget", "thinking budget (tokens)", "off")
SPENT = Axis("tokens_spent", "accuracy by thinking tokens really spent", "thinking tokens spent (mean)", "0")
TOTAL = Axis(
    "total_tokens", "accuracy by all tokens spent, answers too", "thinking and answer tokens spent (mean)", "0"
)
AXES = {"budget": BUDGET, "spent": SPENT, "total": TOTAL}


@dataclass(frozen=True)
class Curve:
    """One line of accuracy by budget; `rows` are sorted by budget. mark: of each point; "": none, for many lines."""

    label: str
    rows: tuple[Row, ...]
    colour: str
    line: Line = "-"
    width: float = 1.4
    band: float = 0.0
    mark: Literal["o", ""] = "o"


def curves(rows: Sequence[Row], suite: str) -> list[Curve]:
    """The curves of one suite in drawing order: unpruned (broad, to show under an equal one), pruned, steps."""
    pruned, unpruned = (tuple(newest(rows, model, suite)[0]) for model in ("pruned", "unpruned"))
    drawn = [Curve("unpruned", unpruned, UNPRUNED, "-", 5.5, 0.2)] if unpruned else []
    drawn += [Curve("pruned", pruned, PRUNED, "--", 2.0, 0.15)] if pruned else []
    run_steps = steps(rows, "run", suite)
    for index, step in enumerate(run_steps):
        last = index == len(run_steps) - 1
        colour = RECOVERED if last else _blue(index, len(run_steps))
        label = f"recovered, step {step}"
        drawn.append(
            Curve(label, tuple(at_step(rows, "run", suite, step)[0]), colour, "-", 2.6 if last else 1.3, 0.18 * last)
        )
    return drawn


def _blue(index: int, count: int) -> str:
    red, green, blue, _ = colormaps["Blues"](0.25 + 0.45 * index / max(1, count - 1))
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def draw_curves(axes: Axes, drawn: Sequence[Curve], axis: Axis = BUDGET) -> None:
    """Accuracy along `axis` (log2); bands are the 95 % intervals, if a curve has them.

    A logarithmic axis has no 0: such points are drawn separately on the left, as diamonds that no line joins. Rows of
    older runs that lack the axis are left out.
    """
    drawn = [replace(curve, rows=tuple(row for row in curve.rows if axis.key in row)) for curve in drawn]
    above = [row[axis.key] for curve in drawn for row in curve.rows if row[axis.key] > 0]
    apart = min(above) / 2 if above else 1.0
    draw_together(
        axes,
        [
            [(row[axis.key], row["accuracy"]) for row in curve.rows if row[axis.key] > 0]
            for curve in drawn
            if not curve.mark
        ],
        [(curve.colour, curve.width) for curve in drawn if not curve.mark],
    )
    for curve in drawn:
        if curve.mark:
            _draw_line(axes, curve, [row for row in curve.rows if row[axis.key] > 0], axis)
        _draw_apart(axes, curve, [row for row in curve.rows if row[axis.key] == 0], apart)
    axes.set_xscale("log", base=2)
    ticks = _ticks(above, axis)
    zeros = {_zero_name(row, axis): apart for curve in drawn for row in curve.rows if row[axis.key] == 0}
    axes.set_xticks([*zeros.values(), *ticks], [*zeros, *map(_tick_name, ticks)])
    if not above:
        axes.set_xlim(0.5, 2.0)
    axes.minorticks_off()
    chance = next((row["chance"] for curve in drawn for row in curve.rows if row.get("chance")), None)
    if chance is not None:
        axes.axhline(chance, color=GREY, linestyle=":", linewidth=1.1, label="chance")
    dress(axes)


def _draw_line(axes: Axes, curve: Curve, rows: Sequence[Row], axis: Axis) -> None:
    along = [row[axis.key] for row in rows]
    axes.plot(
        along,
        [row["accuracy"] for row in rows],
        color=curve.colour,
        linestyle=curve.line,
        linewidth=curve.width,
        marker=curve.mark,
        markersize=min(2.2 + curve.width, 5.0),
        label=curve.label,
    )
    if curve.band:
        axes.fill_between(
            along,
            [row["low"] for row in rows],
            [row["high"] for row in rows],
            color=curve.colour,
            alpha=curve.band,
            linewidth=0,
        )


def draw_together(
    axes: Axes, lines: Sequence[Sequence[tuple[float, float]]], looks: Sequence[tuple[str, float]]
) -> None:
    """Lines without marks as one artist: as an artist each, those of many runs take most of the time of a figure.

    lines: points (along, up); looks: colour and width of each line.
    """
    drawn = [(points, *look) for points, look in zip(lines, looks, strict=True) if points]
    if drawn:
        points, colours, widths = zip(*drawn, strict=True)
        axes.add_collection(LineCollection(points, colors=colours, linewidths=widths))


def _draw_apart(axes: Axes, curve: Curve, rows: Sequence[Row], apart: float) -> None:
    for row in rows:
        axes.plot([apart], [row["accuracy"]], color=curve.colour, marker="D", markersize=5.0, linestyle="none")
        if curve.band:
            axes.vlines(apart, row["low"], row["high"], color=curve.colour, alpha=0.5, linewidth=1.4)


def _zero_name(row: Row, axis: Axis) -> str:
    return "likelihood" if row.get("method") == "likelihood" else axis.zero


def _ticks(above: Sequence[float], axis: Axis) -> list[float]:
    """The budgets themselves; for tokens spent, which can be any number, at most nine powers of two between them."""
    values = sorted(set(above))
    if axis is BUDGET or not values:
        return values
    first, last = math.ceil(math.log2(values[0])), math.floor(math.log2(values[-1]))
    return [2.0**power for power in range(first, last + 1, 1 + max(0, last - first) // 9)] or values[-1:]


def _tick_name(tick: float) -> str:
    return f"{tick:,.0f}" if tick >= 1 else f"{tick:g}"


def dress(axes: Axes) -> None:
    """Grid, frame and the whole range of accuracies."""
    axes.set_ylim(-0.03, 1.03)
    axes.grid(True, color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9, color=GREY)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)


def legend_entries(drawn: Sequence[Curve]) -> list[Curve]:
    """Unpruned and pruned first, then at most LEGEND_STEPS recovered steps spread evenly, always the last."""
    named = [curve for curve in drawn if not curve.label.startswith("recovered, ")]
    stepped = [curve for curve in drawn if curve.label.startswith("recovered, ")]
    if len(stepped) > LEGEND_STEPS:
        stepped = [stepped[round(i * (len(stepped) - 1) / (LEGEND_STEPS - 1))] for i in range(LEGEND_STEPS)]
    return named + stepped


def protocol_note(drawn: Sequence[Curve]) -> str:
    """Empty if all curves were measured by one protocol; else the warning that the figure must show."""
    by_protocol: dict[str, list[str]] = {}
    for curve in drawn:
        for protocol in dict.fromkeys(str(row["protocol"]) for row in curve.rows):
            labels = by_protocol.setdefault(protocol, [])
            labels += [name for name in [curve.label.split(", step")[0]] if name not in labels]
    if len(by_protocol) < 2:
        return ""
    groups = [f"{protocol[:8]} ({', '.join(labels)})" for protocol, labels in by_protocol.items()]
    return "Not comparable, measured by different protocols: " + " · ".join(groups)


def note_on(figure: Figure, panels: Sequence[Sequence[Curve]]) -> None:
    """Adds the protocol notes of the panels at the top of `figure`, each once; nothing if protocols agree."""
    notes = list(dict.fromkeys(note for note in map(protocol_note, panels) if note))
    if notes:
        figure.suptitle("\n".join(notes), fontsize=9, color=WARNING, x=0.01, ha="left")


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def single_axes() -> tuple[Figure, Axes]:
    """A figure with one panel of the usual size."""
    figure = new_figure(8.2, 4.9)
    return figure, figure.add_subplot()


def save(figure: Figure, path: Path) -> Path:
    """Writes `figure` as PNG to `path` atomically; missing folders are created."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", facecolor="white")
    return path
