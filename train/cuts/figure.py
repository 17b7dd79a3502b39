"""The figure of cuts: accuracy by layers removed on every suite, and by budget on the verdict suite."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eval.numbers.summary import newest, suites
from eval.show.curves import UNPRUNED, Curve, draw_curves, dress, new_figure
from eval.show.tables import way_of_asking
from train.cuts.made import Measured

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito


def cuts_figure(cuts: Sequence[Measured], suite: str) -> Figure:
    """Top row: one panel per suite, accuracy at its largest budget by layers removed, one line per method. Bottom row:
    one panel per number of layers, accuracy of `suite` by budget; dashed lines are after a short training.
    """
    names = [*(name for name in suites(cuts[0].rows) if name != suite), suite]
    counts = sorted({cut.layers for cut in cuts if cut.plan})
    columns = max(len(names), len(counts))
    figure = new_figure(3.6 * columns + 0.8, 7.2)
    grid = figure.add_gridspec(2, columns)
    above = [figure.add_subplot(grid[0, column]) for column in range(len(names))]
    for axes, name in zip(above, names, strict=True):
        _by_layers(axes, cuts, name)
    for column, count in enumerate(counts):
        axes = figure.add_subplot(grid[1, column])
        draw_curves(axes, _curves(cuts, suite, count))
        axes.set_title(_title(cuts, suite, count), loc="left", fontsize=10, fontweight="bold")
        axes.set_xlabel("thinking budget (tokens)")
        if column == 0:
            axes.set_ylabel("accuracy")
    above[0].set_ylabel("accuracy (bars: 95 % intervals)")
    above[0].legend(fontsize=8, framealpha=0.92, edgecolor="#dddddd", loc="lower left")
    return figure


def _title(cuts: Sequence[Measured], suite: str, count: int) -> str:
    steps = {cut.trained.steps for cut in cuts if cut.trained}
    trained = "".join(f" (dashes: after {number} steps)" for number in steps)
    return f"{suite}, {count} layer{'s' * (count > 1)} less{trained}"


def methods_of(cuts: Sequence[Measured]) -> dict[str, str]:
    """The measured methods in order, each with its colour."""
    methods = dict.fromkeys(cut.method for cut in cuts if cut.plan)
    return {method: COLOURS[place % len(COLOURS)] for place, method in enumerate(methods)}


def _by_layers(axes: Axes, cuts: Sequence[Measured], suite: str) -> None:
    unpruned = next(cut for cut in cuts if cut.plan is None)
    methods = methods_of(cuts)
    for place, (method, colour) in enumerate(methods.items()):
        points = [unpruned, *(cut for cut in cuts if cut.method == method)]
        rows = [newest(cut.rows, "run", suite)[0][-1] for cut in points]
        values = [row["accuracy"] for row in rows]
        # shifted sideways, since lines of several methods often share a point
        at = [cut.layers + 0.05 * (place - (len(methods) - 1) / 2) * (cut.layers > 0) for cut in points]
        spread = [[row["accuracy"] - row["low"] for row in rows], [row["high"] - row["accuracy"] for row in rows]]
        axes.errorbar(
            at, values, yerr=spread, color=colour, marker="o", markersize=4, linewidth=1.5, elinewidth=0.8, label=method
        )
    dress(axes)
    axes.set_xticks(sorted({cut.layers for cut in cuts}))
    way = way_of_asking(newest(unpruned.rows, "run", suite)[0][-1])
    axes.set_title(f"{suite} {way}", loc="left", fontsize=10, fontweight="bold")
    axes.set_xlabel("layers removed")


def _curves(cuts: Sequence[Measured], suite: str, count: int) -> list[Curve]:
    methods = methods_of(cuts)
    unpruned = next(cut for cut in cuts if cut.plan is None)
    drawn = [Curve("unpruned", tuple(newest(unpruned.rows, "run", suite)[0]), UNPRUNED, "-", 5.5, 0.2)]
    shown = [cut for cut in cuts if cut.plan and cut.layers == count]
    # later lines are narrower, so that an equal line below stays visible
    widths = [1.3 + 0.7 * (len(shown) - 1 - place) for place in range(len(shown))]
    for cut, width in zip(shown, widths, strict=True):
        colour = methods[cut.method]
        drawn.append(Curve(cut.method, tuple(newest(cut.rows, "run", suite)[0]), colour, "-", width))
        if cut.trained:
            rows = tuple(newest(cut.trained.rows, "run", suite)[0])
            drawn.append(Curve(f"{cut.method}, trained", rows, colour, "--", width))
    return drawn
