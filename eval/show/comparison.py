"""Several runs on one page: accuracy by budget, recovery and loss over training, and the tables of `eval.compare`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from eval.numbers.summary import Row, at_step, newest, steps, suites
from eval.show.chart import PRUNED, RUNS, UNPRUNED, Chart, Line, Mark, Point, Series, Tone, spread
from eval.show.contents import Section
from eval.show.curves import BUDGET, SPENT, Axis, Curve, protocol_note
from eval.show.loss_charts import LoggedRun, loss_charts, loss_notes
from eval.show.page import render
from eval.show.sections import Table
from eval.show.sweep_charts import of_k, over_k

MOST_POINTS = 1000
"""total points of all runs in one figure over steps; if there are more, each run's sweeps are thinned evenly"""
MOST_BANDS = 6
"""runs; with more, their intervals would cover each other, and their verdicts would fill the page"""
LINES: tuple[Line, ...] = ("solid", "dashed", "dotted")
Number = Callable[[Row], tuple[float, float | None, float | None] | None]


class ComparedRun(LoggedRun, Protocol):
    """What a page needs from a run: also all rows of its sweeps.jsonl, and those of the compared sweep."""

    @property
    def suite(self) -> str: ...
    @property
    def rows(self) -> Sequence[Row]: ...
    @property
    def summary(self) -> Row: ...


class NamedTable(Protocol):
    """A table with its title, column heads, lines and notes."""

    @property
    def title(self) -> str: ...
    @property
    def heads(self) -> Sequence[str]: ...
    @property
    def lines(self) -> Sequence[Sequence[str]]: ...
    @property
    def notes(self) -> Sequence[str]: ...


def comparison_page(runs: Sequence[ComparedRun], tables: Sequence[NamedTable] = (), notes: Sequence[str] = ()) -> str:
    """The page of `runs`, which have distinct names and one verdict suite; notes are at its top."""
    suite = runs[0].suite
    others = list(dict.fromkeys(name for run in runs for name in suites(run.rows) if name != suite))
    asked = [_verdicts(runs), *map(_of_table, tables)]
    sections = [
        *(section for section in asked if not section.empty),
        Section("Accuracy by tokens spent", (), _present([along(runs, suite, SPENT)])),
        Section("Recovery by step", _thinning(runs), by_step(runs)),
        _loss(runs),
        Section("Parallel scaling", (), parallel(runs)),
        Section("Other suites", (), _present([along(runs, name, BUDGET) for name in others])),
    ]
    return render(
        "comparison.html.j2",
        name=f"{len(runs)} run{'s' * (len(runs) > 1)} compared",
        subtitle=f"Verdict suite: {suite}",
        lead=along(runs, suite, BUDGET),
        runs=[(run.name, run.summary) for run in runs if _banded(runs)],
        notes=notes,
        sections=sections,
    )


def _loss(runs: Sequence[ComparedRun]) -> Section:
    return Section("Training loss", loss_notes(runs), loss_charts(runs, [look(place) for place in range(len(runs))]))


def _verdicts(runs: Sequence[ComparedRun]) -> Section:
    """The verdicts of many runs as a table; those of few runs are at the top of the page."""
    said = [run for run in runs if run.summary.get("verdict_line") and not _banded(runs)]
    lines = [[run.name, str(run.summary["step"]), run.summary["verdict_line"]] for run in said]
    return Section("Verdicts", (), (), {"Verdicts": Table(["run", "step", "verdict"], lines)})


def _of_table(table: NamedTable) -> Section:
    """The section of a table; a table without lines says why in its title."""
    filled = Table(list(table.heads), [list(line) for line in table.lines])
    title = table.title[:1].upper() + table.title[1:]
    return Section(title, tuple(table.notes), (), {title: filled}) if table.lines else Section("Note", text=title)


def _present(charts: Sequence[Chart | None]) -> list[Chart]:
    return [chart for chart in charts if chart is not None]


def along(runs: Sequence[ComparedRun], suite: str, axis: Axis) -> Chart | None:
    """Accuracy along `axis`: the references (a shared one only once), then the compared sweep of each run; None for a
    suite with only one budget."""
    curves = _references(runs, suite, axis)
    for place, run in enumerate(runs):
        compared = at_step(run.rows, "run", suite, run.summary["step"])[0]
        tone, line = look(place)
        curves.append((Series(run.name, _points(compared, axis), tone, line, 2.6, band=_banded(runs)), compared))
    drawn = tuple(series for series, _ in curves if series.points)
    if not drawn or max(len(series.points) for series in drawn) < 2:
        return None
    note = protocol_note([Curve(series.label, tuple(rows), "") for series, rows in curves])
    budgets = sorted({point.x for series in drawn for point in series.points}) if axis is BUDGET else []
    return Chart(
        name=f"runs-{axis.key.replace('_', '-')}-{[*suites(runs[0].rows), suite].index(suite)}",
        title=f"{suite}: {axis.title}",
        along=axis.label,
        up="accuracy",
        series=drawn,
        scale="log2",
        ticks=tuple(budgets),
        zero=axis.zero,
        notes=tuple(filter(None, (note, "Bands: 95 % intervals." if _banded(runs) else ""))),
    )


def look(place: int) -> tuple[Tone, Line]:
    """Colour and dashes of the run at `place`; distinct for up to 21 runs."""
    return RUNS[place % len(RUNS)], LINES[place // len(RUNS) % len(LINES)]


def _banded(runs: Sequence[ComparedRun]) -> bool:
    return len(runs) <= MOST_BANDS


def _references(runs: Sequence[ComparedRun], suite: str, axis: Axis) -> list[tuple[Series, list[Row]]]:
    found: list[tuple[Series, list[Row]]] = []
    kinds: tuple[tuple[str, Tone, Line, Mark], ...] = (
        ("unpruned", UNPRUNED, "solid", "square"),
        ("pruned", PRUNED, "dashed", "triangle"),
    )
    for model, tone, line, mark in kinds:
        distinct: dict[str, tuple[str, list[Row]]] = {}
        for run in runs:
            reference = newest(run.rows, model, suite)[0]
            if reference:
                distinct.setdefault(_numbers(reference), (run.name, reference))
        for name, reference in distinct.values():
            label = model if len(distinct) == 1 else f"{model} of {name}"
            found.append((Series(label, _points(reference, axis), tone, line, 2.2, mark, _banded(runs)), reference))
    return found


def _numbers(reference: Sequence[Row]) -> str:
    """What makes two references equal: protocol and accuracies, not their times."""
    return str([[row.get(key) for key in ("budget", "accuracy", "low", "high", "protocol")] for row in reference])


def _points(rows: Sequence[Row], axis: Axis) -> tuple[Point, ...]:
    return tuple(Point(row[axis.key], row["accuracy"], row["low"], row["high"]) for row in rows if axis.key in row)


def parallel(runs: Sequence[ComparedRun]) -> list[Chart]:
    """pass@k of each run at the largest budget; nothing if all have one thought per problem."""
    series = [
        Series(run.name, of_k(run.summary, "pass_at_k"), *look(place), 2.4, band=_banded(runs))
        for place, run in enumerate(runs)
    ]
    return over_k(f"{runs[0].suite}, pass@k", [each for each in series if len(each.points) > 1])


def by_step(runs: Sequence[ComparedRun]) -> list[Chart]:
    """Recovered fraction, level, gain and termination over the steps of training, one line per run."""
    shown: tuple[tuple[str, str, str, Number], ...] = (
        ("share", "Share of the lost level that is back", "recovered fraction", _share),
        ("level", "Level: accuracy at the largest budget", "accuracy", lambda row: _plain(row, "level")),
        ("gain", "Gain per doubling of the budget", "gain in accuracy", _gain),
        ("termination", "Thoughts that terminate", "share of thoughts", lambda row: _plain(row, "termination")),
    )
    summaries = [_summaries(run, _most_steps(runs)) for run in runs]
    charts = []
    for name, title, up, number in shown:
        points = [_points_of(number, each) for each in summaries]
        drawn = tuple(
            Series(run.name, points[place], *look(place), 2.0, band=_banded(runs))
            for place, run in enumerate(runs)
            if points[place]
        )
        if any(len(each.points) > 1 for each in drawn):
            in_unit = name in ("level", "termination")
            charts.append(Chart(f"steps-{name}", title, "training step", up, drawn, unit_range=in_unit))
    return charts


def _summaries(run: ComparedRun, most: int) -> list[tuple[int, Row]]:
    """(step, the row with budget null) of at most `most` sweeps; reads the rows only once."""
    by_step: defaultdict[int, list[Row]] = defaultdict(list)
    for row in run.rows:
        if (row["model"], row["suite"]) == ("run", run.suite):
            by_step[row["step"]].append(row)
    found = [(step, at_step(by_step[step], "run", run.suite, step)[1]) for step in spread(sorted(by_step), most)]
    return [(step, summary) for step, summary in found if summary]


def _points_of(number: Number, summaries: Sequence[tuple[int, Row]]) -> tuple[Point, ...]:
    return tuple(Point(step, *value) for step, summary in summaries if (value := number(summary)))


def _most_steps(runs: Sequence[ComparedRun]) -> int:
    return max(2, MOST_POINTS // len(runs))


def _thinning(runs: Sequence[ComparedRun]) -> tuple[str, ...]:
    most, swept = _most_steps(runs), max(len(steps(run.rows, "run", run.suite)) for run in runs)
    return (f"Of each run at most {most} of up to {swept} sweeps are drawn, evenly spread.",) if swept > most else ()


def _share(row: Row) -> tuple[float, float | None, float | None] | None:
    share: dict[str, Any] = row.get("level_share") or {}
    return None if share.get("fraction") is None else (share["fraction"], share["low"], share["high"])


def _plain(row: Row, key: str) -> tuple[float, None, None] | None:
    return None if row.get(key) is None else (row[key], None, None)


def _gain(row: Row) -> tuple[float, float | None, float | None] | None:
    gain = row["gain_per_doubling"]
    return None if gain is None else (gain, row.get("gain_low"), row.get("gain_high"))
