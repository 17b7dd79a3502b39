"""The two figures of a run: accuracy against thinking budget, and the way back over training steps. Rows are those of
sweeps.jsonl.

matplotlib by its object API on the Agg canvas: no window, no global figure. Colours are told apart by colour-blind
readers and in grey: black for unpruned, vermilion dashes for pruned, blue from pale to dark for the recovered model as
training goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from eval.summary import Row, at_step, newest, steps, suites

UNPRUNED, PRUNED, RECOVERED, WARNING = "#9e9e9e", "#d55e00", "#08519c", "#a50026"
LEGEND_STEPS = 6  # steps named in the legend at most; all are drawn
GREY = "#666666"
Line = Literal["-", "--", ":"]


@dataclass(frozen=True)
class Curve:
    """One line of accuracy by budget; `rows` are sorted by budget."""

    label: str
    rows: tuple[Row, ...]
    colour: str
    line: Line = "-"
    width: float = 1.4
    band: float = 0.0


def curves(rows: Sequence[Row], suite: str) -> list[Curve]:
    """The curves of one suite in drawing order: unpruned (broad: it shows under an equal one), pruned, steps."""
    pruned, unpruned = (tuple(newest(rows, model, suite)[0]) for model in ("pruned", "unpruned"))
    found = [Curve("unpruned", unpruned, UNPRUNED, "-", 5.5, 0.2)] if unpruned else []
    found += [Curve("pruned", pruned, PRUNED, "--", 2.0, 0.15)] if pruned else []
    run_steps = steps(rows, "run", suite)
    for index, step in enumerate(run_steps):
        last = index == len(run_steps) - 1
        colour = RECOVERED if last else _blue(index, len(run_steps))
        label = f"recovered, step {step}"
        found.append(
            Curve(label, tuple(at_step(rows, "run", suite, step)[0]), colour, "-", 2.6 if last else 1.3, 0.18 * last)
        )
    return found


def _blue(index: int, count: int) -> str:
    red, green, blue, _ = colormaps["Blues"](0.25 + 0.45 * index / max(1, count - 1))
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def draw_curves(axes: Axes, drawn: Sequence[Curve]) -> None:
    """Accuracy against budget (log2 axis, the budgets as ticks); bands are the 95 % intervals where a curve has one."""
    for curve in drawn:
        budgets = [row["budget"] for row in curve.rows]
        axes.plot(
            budgets,
            [row["accuracy"] for row in curve.rows],
            color=curve.colour,
            linestyle=curve.line,
            linewidth=curve.width,
            marker="o",
            markersize=min(2.2 + curve.width, 5.0),
            label=curve.label,
        )
        if curve.band:
            axes.fill_between(
                budgets,
                [row["low"] for row in curve.rows],
                [row["high"] for row in curve.rows],
                color=curve.colour,
                alpha=curve.band,
                linewidth=0,
            )
    budget_ticks = sorted({row["budget"] for curve in drawn for row in curve.rows})
    axes.set_xscale("log", base=2)
    axes.set_xticks(budget_ticks, [f"{budget:,}" for budget in budget_ticks])
    axes.minorticks_off()
    _dress(axes)


def _dress(axes: Axes) -> None:
    axes.set_ylim(-0.03, 1.03)
    axes.grid(True, color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9, color=GREY)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)


def legend_entries(drawn: Sequence[Curve]) -> list[Curve]:
    """Unpruned and pruned first, then recovered steps, at most LEGEND_STEPS spread evenly, always the last."""
    named = [curve for curve in drawn if not curve.label.startswith("recovered, ")]
    stepped = [curve for curve in drawn if curve.label.startswith("recovered, ")]
    if len(stepped) > LEGEND_STEPS:
        stepped = [stepped[round(i * (len(stepped) - 1) / (LEGEND_STEPS - 1))] for i in range(LEGEND_STEPS)]
    return named + stepped


def protocol_note(drawn: Sequence[Curve]) -> str:
    """Empty where all curves were measured by one protocol; else what the figure must say about it."""
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
    """Head `figure` with the protocol notes of its panels, each once; nothing where every panel has one protocol."""
    notes = list(dict.fromkeys(note for note in map(protocol_note, panels) if note))
    if notes:
        figure.suptitle("\n".join(notes), fontsize=9, color=WARNING, x=0.01, ha="left")


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def single_axes() -> tuple[Figure, Axes]:
    """A figure with one panel of the usual size."""
    figure = _figure(8.2, 4.9)
    return figure, figure.add_subplot()


def curves_figure(rows: Sequence[Row], suite: str) -> Figure:
    """Accuracy against thinking budget: the verdict suite `suite` large, the others in small panels beside it."""
    others = [name for name in suites(rows) if name != suite]
    figure = _figure(8.2 + 2.6 * bool(others), 4.9)
    grid = figure.add_gridspec(max(1, len(others)), 2 if others else 1, width_ratios=[2.4, 1] if others else [1])
    main = figure.add_subplot(grid[:, 0])
    drawn = curves(rows, suite)
    draw_curves(main, drawn)
    main.set_title(f"{suite}: accuracy by thinking budget", loc="left", fontsize=12, fontweight="bold")
    main.set_xlabel("thinking budget (tokens)")
    main.set_ylabel("accuracy (bands: 95 % intervals)")
    entries = legend_entries(drawn)
    handles = [Line2D([], [], color=c.colour, linestyle=c.line, linewidth=c.width, label=c.label) for c in entries]
    main.legend(handles=handles, fontsize=8.5, loc="best", framealpha=0.92, edgecolor="#dddddd")
    panels = [drawn]
    for index, name in enumerate(others):
        axes = figure.add_subplot(grid[index, 1])
        panels.append(curves(rows, name))
        draw_curves(axes, panels[-1])
        axes.set_title(name, loc="left", fontsize=10, fontweight="bold")
    note_on(figure, panels)
    return figure


def training_figure(rows: Sequence[Row], suite: str) -> Figure:
    """The way back from the pruned model at step 0: accuracy at each budget, gain per doubling, how thoughts end."""
    figure = _figure(10.8, 5.2)
    grid = figure.add_gridspec(2, 2, width_ratios=[1.7, 1])
    accuracy, gain, ending = (figure.add_subplot(place) for place in (grid[:, 0], grid[0, 1], grid[1, 1]))
    before = [newest(rows, "pruned", suite)] if steps(rows, "pruned", suite) else []
    sweeps = before + [at_step(rows, "run", suite, step) for step in steps(rows, "run", suite)]
    references = {model: newest(rows, model, suite) for model in ("unpruned", "pruned")}
    _accuracy_by_step(accuracy, sweeps, references["unpruned"][0])
    _gain_by_step(
        gain, [whole for _, whole in sweeps if whole], {name: whole for name, (_, whole) in references.items() if whole}
    )
    _ending_by_step(ending, sweeps, references["unpruned"][1])
    accuracy.set_title(
        f"{suite}: accuracy at each thinking budget (tokens)", loc="left", fontsize=12, fontweight="bold", pad=26
    )
    note_on(figure, [curves(rows, suite)])
    return figure


def _accuracy_by_step(axes: Axes, sweeps: Sequence[tuple[list[Row], Row | None]], unpruned: Sequence[Row]) -> None:
    budgets = sorted({row["budget"] for found, _ in sweeps for row in found})
    wholes = {row["budget"]: row["accuracy"] for row in unpruned}
    for index, budget in enumerate(reversed(budgets)):
        colour = colormaps["viridis"](0.05 + 0.82 * index / max(1, len(budgets) - 1))
        points = [row for found, _ in sweeps for row in found if row["budget"] == budget]
        at = [row["step"] for row in points]
        axes.plot(
            at, [row["accuracy"] for row in points], color=colour, marker="o", markersize=3.5, label=f"{budget:,}"
        )
        axes.fill_between(
            at, [row["low"] for row in points], [row["high"] for row in points], color=colour, alpha=0.13, linewidth=0
        )
        if budget in wholes:
            axes.axhline(wholes[budget], color=colour, linestyle=":", linewidth=1.3)
    handles, _ = axes.get_legend_handles_labels()
    dotted = [Line2D([], [], color=GREY, linestyle=":", label="unpruned, same budget")] if wholes else []
    if handles:
        axes.legend(
            handles=[*handles, *dotted],
            fontsize=8.5,
            frameon=False,
            ncols=7,
            loc="lower left",
            bbox_to_anchor=(-0.02, 0.99),
            columnspacing=1.1,
            handlelength=1.5,
        )
    _dress(axes)
    axes.set_xlabel("training step")
    axes.set_ylabel("accuracy (bands: 95 % intervals)")


def _gain_by_step(axes: Axes, wholes: Sequence[Row], references: dict[str, Row]) -> None:
    points = [row for row in wholes if row["gain_per_doubling"] is not None]
    at = [row["step"] for row in points]
    axes.plot(
        at, [row["gain_per_doubling"] for row in points], color=RECOVERED, marker="o", markersize=3.5, linewidth=2
    )
    axes.fill_between(
        at,
        [row["gain_low"] for row in points],
        [row["gain_high"] for row in points],
        color=RECOVERED,
        alpha=0.18,
        linewidth=0,
    )
    for name, colour, line in (("unpruned", UNPRUNED, "-"), ("pruned", PRUNED, "--")):
        if name in references and references[name]["gain_per_doubling"] is not None:
            axes.axhline(references[name]["gain_per_doubling"], color=colour, linestyle=line, linewidth=1.4, label=name)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, framealpha=0.92, edgecolor="#dddddd", loc="best")
    _dress(axes)
    axes.autoscale(axis="y")
    axes.margins(y=0.12)
    axes.set_title("gain per doubling of the budget", loc="left", fontsize=10, fontweight="bold")
    axes.tick_params(labelbottom=False)


def _ending_by_step(axes: Axes, sweeps: Sequence[tuple[list[Row], Row | None]], unpruned: Row | None) -> None:
    ended = [whole for _, whole in sweeps if whole]
    axes.plot(
        [row["step"] for row in ended],
        [row["termination"] for row in ended],
        color=RECOVERED,
        marker="o",
        markersize=3.5,
        linewidth=2,
        label="end by themselves",
    )
    last = [found[-1] for found, _ in sweeps if found]
    axes.plot(
        [row["step"] for row in last],
        [row["looping"] for row in last],
        color=PRUNED,
        marker="s",
        markersize=3.5,
        linewidth=1.6,
        linestyle="--",
        label="looping",
    )
    if unpruned:
        axes.axhline(unpruned["termination"], color=UNPRUNED, linewidth=1.4, label="end by themselves, unpruned")
    _dress(axes)
    axes.legend(fontsize=8, framealpha=0.92, edgecolor="#dddddd", loc="best")
    axes.set_title("thoughts at the largest budget (shares)", loc="left", fontsize=10, fontweight="bold")
    axes.set_xlabel("training step")


def save(figure: Figure, path: Path) -> Path:
    """Write `figure` as PNG under a temporary name, then rename it to `path`; missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    figure.savefig(draft, format="png", facecolor="white")
    return draft.replace(path)
