"""The figures of a run: accuracy against thinking budget or tokens spent, and recovery over training steps.

Rows are those of sweeps.jsonl.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from eval.numbers.sequences import RUN_ERROR
from eval.numbers.summary import Row, at_step, newest, steps, suites
from eval.show.curves import (
    BUDGET,
    GREY,
    PRUNED,
    RECOVERED,
    UNPRUNED,
    Axis,
    curves,
    draw_curves,
    dress,
    legend_entries,
    new_figure,
    note_on,
)
from eval.show.tables import budget_name


def curves_figure(rows: Sequence[Row], suite: str, axis: Axis = BUDGET) -> Figure:
    """Accuracy along `axis`: the verdict suite `suite` large, the others in small panels next to it."""
    others = [name for name in suites(rows) if name != suite]
    figure = new_figure(8.2 + 2.6 * bool(others), 4.9)
    grid = figure.add_gridspec(max(1, len(others)), 2 if others else 1, width_ratios=[2.4, 1] if others else [1])
    main = figure.add_subplot(grid[:, 0])
    drawn = curves(rows, suite)
    draw_curves(main, drawn, axis)
    main.set_title(f"{suite}: {axis.title}", loc="left", fontsize=12, fontweight="bold")
    main.set_xlabel(axis.label)
    main.set_ylabel("accuracy (bands: 95 % intervals)")
    entries = legend_entries(drawn)
    handles = [Line2D([], [], color=c.colour, linestyle=c.line, linewidth=c.width, label=c.label) for c in entries]
    main.legend(handles=handles, fontsize=8.5, loc="best", framealpha=0.92, edgecolor="#dddddd")
    panels = [drawn]
    for index, name in enumerate(others):
        axes = figure.add_subplot(grid[index, 1])
        panels.append(curves(rows, name))
        draw_curves(axes, panels[-1], axis)
        axes.set_title(name, loc="left", fontsize=10, fontweight="bold")
    note_on(figure, panels)
    return figure


def training_figure(rows: Sequence[Row], suite: str) -> Figure:
    """Recovery from the pruned model at step 0: accuracy at each budget, gain per doubling, how thoughts end."""
    figure = new_figure(10.8, 5.2)
    grid = figure.add_gridspec(2, 2, width_ratios=[1.7, 1])
    accuracy, gain, ending = (figure.add_subplot(place) for place in (grid[:, 0], grid[0, 1], grid[1, 1]))
    before = [newest(rows, "pruned", suite)] if steps(rows, "pruned", suite) else []
    sweeps = before + [at_step(rows, "run", suite, step) for step in steps(rows, "run", suite)]
    references = {model: newest(rows, model, suite) for model in ("unpruned", "pruned")}
    _accuracy_by_step(accuracy, sweeps, references["unpruned"][0])
    _gain_by_step(
        gain,
        [summary for _, summary in sweeps if summary],
        {name: summary for name, (_, summary) in references.items() if summary},
    )
    _ending_by_step(ending, sweeps, references["unpruned"][1])
    accuracy.set_title(
        f"{suite}: accuracy at each thinking budget (tokens)", loc="left", fontsize=12, fontweight="bold", pad=26
    )
    note_on(figure, [curves(rows, suite)])
    return figure


def _accuracy_by_step(axes: Axes, sweeps: Sequence[tuple[list[Row], Row | None]], unpruned: Sequence[Row]) -> None:
    budgets = sorted({row["budget"] for at_budgets, _ in sweeps for row in at_budgets})
    references = {row["budget"]: row["accuracy"] for row in unpruned}
    for index, budget in enumerate(reversed(budgets)):
        colour = colormaps["viridis"](0.05 + 0.82 * index / max(1, len(budgets) - 1))
        points = [row for at_budgets, _ in sweeps for row in at_budgets if row["budget"] == budget]
        at = [row["step"] for row in points]
        axes.plot(
            at, [row["accuracy"] for row in points], color=colour, marker="o", markersize=3.5, label=budget_name(budget)
        )
        axes.fill_between(
            at, [row["low"] for row in points], [row["high"] for row in points], color=colour, alpha=0.13, linewidth=0
        )
        if budget in references:
            axes.axhline(references[budget], color=colour, linestyle=":", linewidth=1.3)
    handles, _ = axes.get_legend_handles_labels()
    dotted = [Line2D([], [], color=GREY, linestyle=":", label="unpruned, same budget")] if references else []
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
    dress(axes)
    axes.set_xlabel("training step")
    axes.set_ylabel("accuracy (bands: 95 % intervals)")


def _gain_by_step(axes: Axes, summaries: Sequence[Row], references: dict[str, Row]) -> None:
    points = [row for row in summaries if row["gain_per_doubling"] is not None]
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
    dress(axes)
    axes.autoscale(axis="y")
    axes.margins(y=0.12)
    in_a_run = any((row.get("verdict_error") or RUN_ERROR) < RUN_ERROR for row in points)
    band = "band: simultaneous over all sweeps" if in_a_run else "band: 95 % intervals"
    axes.set_title(f"gain per doubling of the budget ({band})", loc="left", fontsize=10, fontweight="bold")
    axes.tick_params(labelbottom=False)


def _ending_by_step(axes: Axes, sweeps: Sequence[tuple[list[Row], Row | None]], unpruned: Row | None) -> None:
    ended = [summary for _, summary in sweeps if summary and summary["termination"] is not None]
    axes.plot(
        [row["step"] for row in ended],
        [row["termination"] for row in ended],
        color=RECOVERED,
        marker="o",
        markersize=3.5,
        linewidth=2,
        label="terminated",
    )
    last = [at_budgets[-1] for at_budgets, _ in sweeps if at_budgets]
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
    if unpruned and unpruned["termination"] is not None:
        axes.axhline(unpruned["termination"], color=UNPRUNED, linewidth=1.4, label="terminated, unpruned")
    dress(axes)
    axes.legend(fontsize=8, framealpha=0.92, edgecolor="#dddddd", loc="best")
    axes.set_title("thoughts at the largest budget (shares)", loc="left", fontsize=10, fontweight="bold")
    axes.set_xlabel("training step")
