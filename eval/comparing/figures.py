"""The figures of a comparison: one line per run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any, Literal

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from eval.comparing.comparison import references
from eval.comparing.finished import Finished
from eval.numbers.summary import Row, suites
from eval.show.curves import (
    BUDGET,
    GREY,
    PRUNED,
    SPENT,
    UNPRUNED,
    Axis,
    Curve,
    Line,
    draw_curves,
    draw_together,
    dress,
    new_figure,
    protocol_note,
)

COLOURS = ("#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#7f7f7f")  # after Okabe and Ito
STYLES: dict[str, tuple[str, Line]] = {"pruned": (PRUNED, "--"), "unpruned": (UNPRUNED, "-")}
MOST_NAMED = 16  # runs in a legend; all are drawn
BAND = 0.13


def figures(runs: Sequence[Finished], axis: Axis = BUDGET) -> tuple[dict[str, Figure], list[str]]:
    """Every figure that these runs have numbers for, by file name, and which were not drawn and why."""
    found, unsaid = {"compare": None, **dict.fromkeys(DRAWN)}, []
    panels, left_out = comparable(runs)
    found["compare"] = curves_figure(runs, panels, axis)
    for name, (draw, why_not) in DRAWN.items():
        found[name] = draw(runs, panels)
        unsaid += [f"no figure {name}: {why_not}"] if found[name] is None else []
    return {name: figure for name, figure in found.items() if figure is not None}, [*left_out, *unsaid]


def comparable(runs: Sequence[Finished]) -> tuple[list[str], list[str]]:
    """The suites that get a panel, the verdict suite first, and a note for each that was measured by several
    protocols."""
    verdict = runs[0].suite
    others = [name for name in dict.fromkeys(s for run in runs for s in suites(run.rows)) if name != verdict]
    differ = [name for name in others if protocol_note(joint_curves(runs, name))]
    said = [f"suite {name} is not drawn: the runs' protocols on it differ" for name in differ]
    return [verdict, *(name for name in others if name not in differ)], said


def joint_curves(runs: Sequence[Finished], suite: str) -> list[Curve]:
    """The curve of each run at its chosen sweep, and those of the references; a shared reference is drawn once."""
    joint = []
    for run, colour in zip(runs, colours(len(runs)), strict=True):
        rows = tuple(run.sweep("run", suite, run.summary["step"])[0])
        joint += [Curve(run.name, rows, colour, "-", 2.2, _band(runs), _mark(runs))] if rows else []
    for model, (colour, line) in reversed(STYLES.items()):
        distinct: dict[str, tuple[str, tuple[Row, ...]]] = {}
        for run in runs:
            rows = tuple(run.newest(model, suite)[0])
            if rows:
                distinct.setdefault(str(rows), (run.name, rows))
        for name, rows in distinct.values():
            label = model if len(distinct) == 1 else f"{model} of {name}"
            joint.append(Curve(label, rows, colour, line, 1.6, 0.08 * (len(distinct) == 1)))
    return joint


def colours(number: int) -> list[str]:
    """`number` colours: distinguishable for colour-blind readers up to seven, then from a colour map."""
    if number <= len(COLOURS):
        return list(COLOURS[:number])
    of_map = colormaps["turbo"]  # each look-up returns a copy
    shades = (of_map(0.05 + 0.9 * place / (number - 1)) for place in range(number))
    return [f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}" for red, green, blue, _ in shades]


def _band(runs: Sequence[Finished]) -> float:
    return BAND if len(runs) <= len(COLOURS) else 0.0


def _mark(runs: Sequence[Finished]) -> Literal["o", ""]:
    """The marks of many runs would hide their lines."""
    return "o" if _band(runs) else ""


def curves_figure(runs: Sequence[Finished], panels: Sequence[str], axis: Axis = BUDGET) -> Figure:
    """Accuracy along `axis`: one panel per suite, one line per run."""
    figure, grid = _row_of_panels(len(panels))
    for axes, suite in zip(grid, panels, strict=True):
        draw_curves(axes, joint_curves(runs, suite), axis)
        axes.set_title(suite, loc="left", fontsize=11, fontweight="bold")
        axes.set_xlabel(axis.label)
    grid[0].set_ylabel(f"accuracy{_bands(runs)}")
    figure.suptitle(axis.title, fontsize=12, fontweight="bold", x=0.01, ha="left")
    _legend(figure, runs, dict(STYLES))
    return figure


def _bands(runs: Sequence[Finished], name: str = "95 % intervals") -> str:
    return f" (bands: {name})" if _band(runs) else ""


def recovery_figure(runs: Sequence[Finished], panels: Sequence[str]) -> Figure | None:
    """The recovered fraction at the largest budget over the steps of training; None if no sweep has one."""

    def fraction(at_budgets: Sequence[Row], summary: Row) -> tuple[float, float, float] | None:
        if summary["model"] == "pruned":
            return 0.0, 0.0, 0.0
        return _span((summary.get("recovered_fraction") or [{}])[-1], "fraction", "low", "high")

    figure, (axes,) = _row_of_panels(1)
    if not _over_steps(axes, runs, fraction):
        return None
    for height, name in ((0.0, "pruned"), (1.0, "unpruned")):
        colour, line = STYLES[name]
        axes.axhline(height, color=colour, linestyle=line, linewidth=1.4)
    bands = _bands(runs, "the intervals of the sweeps")
    axes.set_title(f"recovered fraction at the largest budget{bands}", loc="left", fontsize=11, fontweight="bold")
    axes.set_ylabel("(recovered - pruned) / (unpruned - pruned)")
    _legend(figure, runs, dict(STYLES))
    return figure


def steps_figure(runs: Sequence[Finished], panels: Sequence[str]) -> Figure | None:
    """Level, gain per doubling and termination over the steps of training, with the references; None if no run has two
    sweeps."""
    figure, grid = _row_of_panels(3)
    drawn = False
    numbers: tuple[tuple[str, Callable[[Sequence[Row], Row], tuple[float, float, float] | None]], ...] = (
        ("level (accuracy at the largest budget)", lambda at, _: _span(at[-1], "accuracy", "low", "high")),
        ("gain per doubling of the budget", lambda _, row: _span(row, "gain_per_doubling", "gain_low", "gain_high")),
        ("termination", lambda _, row: _span(row, "termination", "termination", "termination")),
    )
    for axes, (title, number) in zip(grid, numbers, strict=True):
        drawn |= _over_steps(axes, runs, number)
        for each in references(runs):
            colour, line = STYLES[each.model]
            if shared := number(each.final, each.summary):
                axes.axhline(shared[0], color=colour, linestyle=line, linewidth=1.4)
        axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    grid[0].set_ylabel(f"share{_bands(runs, 'the intervals of the sweeps')}")
    _legend(figure, runs, dict(STYLES))
    return figure if drawn else None


def _over_steps(
    axes: Axes,
    runs: Sequence[Finished],
    number: Callable[[Sequence[Row], Row], tuple[float, float, float] | None],
) -> bool:
    """Draws (value, low, high) of each sweep of each run over its steps, starting with the pruned model at step 0;
    False if no run has two of them."""
    drawn, lines = False, []
    for run in runs:
        sweeps = [(step, *run.sweep("run", run.suite, step)) for step in run.own_steps]
        before = [(0, *run.newest("pruned", run.suite))]
        start, points = (
            [(step, *span) for step, at, row in several if at and row and (span := number(at, row))]
            for several in (before, sweeps)
        )
        drawn |= bool(points) and len([*start, *points]) > 1
        lines.append([*start, *points])
    _lines(axes, runs, lines)
    dress(axes)
    axes.autoscale(axis="y")
    axes.margins(y=0.08)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("training step")
    return drawn


def _span(row: Mapping[str, Any], key: str, low: str, high: str) -> tuple[float, float, float] | None:
    """A number with its interval; an unbounded end is the number itself. None if it is undefined."""
    value = row.get(key)
    if value is None:
        return None
    ends = (value if row.get(end) is None else row[end] for end in (low, high))
    return (float(value), *map(float, ends))  # type: ignore[return-value]


def _lines(axes: Axes, runs: Sequence[Finished], lines: Sequence[Sequence[tuple[float, float, float, float]]]) -> None:
    """One line per run; points are (along, value, low, high)."""
    shades, band = colours(len(runs)), _band(runs)
    if not band:
        values = [[(along, value) for along, value, _, _ in points] for points in lines]
        draw_together(axes, values, [(colour, 1.8) for colour in shades])
        return
    for points, colour in zip(lines, shades, strict=True):
        along, value, low, high = zip(*points, strict=True) if points else ((), (), (), ())
        axes.plot(along, value, color=colour, marker="o", markersize=3.0, linewidth=1.8)
        axes.fill_between(along, low, high, color=colour, alpha=band, linewidth=0)


def pass_figure(runs: Sequence[Finished], panels: Sequence[str]) -> Figure | None:
    """pass@k at the largest budget; None if every run has one thought per problem."""
    figure, (axes,) = _row_of_panels(1)
    of_runs = [run.summary.get("pass_at_k") or [] for run in runs]
    lines = [[(row["k"], *span) for row in found if (span := _span(row, "value", "low", "high"))] for found in of_runs]
    _lines(axes, runs, lines)
    for each in references(runs):
        colour, line = STYLES[each.model]
        found = each.summary.get("pass_at_k") or []
        axes.plot([row["k"] for row in found], [row["value"] for row in found], color=colour, linestyle=line)
    dress(axes)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("thoughts per problem (k)")
    axes.set_ylabel(f"pass@k{_bands(runs)}")
    axes.set_title(f"{runs[0].suite}: pass@k at the largest budget", loc="left", fontsize=11, fontweight="bold")
    _legend(figure, runs, dict(STYLES))
    return figure if any(lines) else None


def spent_figure(runs: Sequence[Finished], panels: Sequence[str]) -> Figure | None:
    """Accuracy against the thinking tokens really spent; None for rows of earlier versions, which lack them."""
    known = any(SPENT.key in row for run in runs for row in run.final)
    return curves_figure(runs, panels, SPENT) if known else None


def layers_figure(runs: Sequence[Finished], panels: Sequence[str]) -> Figure | None:
    """Accuracy at the largest budget on every suite by layers removed, pruned and recovered; the mean if runs share a
    number. None if all plans remove the same number of layers, or none."""
    by_layers: dict[int, list[Finished]] = {}
    for run in runs:
        removed = (run.record.get("prune_plan") or {}).get("removed")
        if removed:  # a plan that only narrows layers removes none
            by_layers.setdefault(len(removed), []).append(run)
    if len(by_layers) < 2:
        return None
    figure, (axes,) = _row_of_panels(1)
    for suite, colour in zip(panels, colours(len(panels)), strict=True):
        for model, line in (("pruned", "--"), ("run", "-")):
            points = [
                (number, fmean(found))
                for number, several in sorted(by_layers.items())
                if (found := [level for run in several if (level := _level(run, model, suite)) is not None])
            ]
            start = [level for run in runs if (level := _level(run, "unpruned", suite)) is not None]
            points = [(0, fmean(start)), *points] if start else points
            axes.plot(*zip(*points, strict=True), color=colour, linestyle=line, marker="o") if points else None
    dress(axes)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("layers removed (0: unpruned)")
    axes.set_ylabel("accuracy at the largest budget")
    axes.set_title("accuracy lost by pruning, and recovered", loc="left", fontsize=11, fontweight="bold")
    handles = [Line2D([], [], color=c, label=name) for name, c in zip(panels, colours(len(panels)), strict=True)]
    ways = [
        Line2D([], [], color=GREY, linestyle=line, label=name) for name, line in (("pruned", "--"), ("recovered", "-"))
    ]
    figure.legend(handles=[*handles, *ways], fontsize=8.5, frameon=False, ncols=6, loc="outside lower center")
    return figure


def _level(run: Finished, model: str, suite: str) -> float | None:
    sweep = run.sweep("run", suite, run.summary["step"]) if model == "run" else run.newest(model, suite)
    return float(sweep[0][-1]["accuracy"]) if sweep[0] else None


def _row_of_panels(number: int) -> tuple[Figure, list[Axes]]:
    figure = new_figure(8.2 + 3.4 * (number - 1), 4.9)
    return figure, list(figure.subplots(1, number, squeeze=False)[0])


def _legend(figure: Figure, runs: Sequence[Finished], references: Mapping[str, tuple[str, Line]]) -> None:
    shades = colours(len(runs))
    handles = [Line2D([], [], color=c, linewidth=2.2, label=run.name) for run, c in zip(runs, shades, strict=True)]
    more = (
        [Line2D([], [], linestyle="none", label=f"and {len(runs) - MOST_NAMED} more")] if len(runs) > MOST_NAMED else []
    )
    styles = [Line2D([], [], color=c, linestyle=line, label=name) for name, (c, line) in references.items()]
    figure.legend(
        handles=[*handles[:MOST_NAMED], *more, *styles],
        fontsize=8.5,
        frameon=False,
        ncols=6,
        loc="outside lower center",
    )


DRAWN: dict[str, tuple[Callable[[Sequence[Finished], Sequence[str]], Figure | None], str]] = {
    "recovery": (recovery_figure, "no sweep has a recovered fraction"),
    "steps": (steps_figure, "no run has two sweeps"),
    "pass_at_k": (pass_figure, "one thought per problem"),
    "spent": (spent_figure, "the rows do not say how many tokens were spent"),
    "layers": (layers_figure, "all prune plans remove the same number of layers, or are not recorded"),
}
