"""The figures of a run's sweeps as charts: accuracy against what was spent, and recovery over training steps.

Rows are those of sweeps.jsonl. `eval.show.plots` draws the same figures as images, for readers without SVG.
"""

from __future__ import annotations

from collections.abc import Sequence

from eval.numbers.sequences import RUN_ERROR
from eval.numbers.summary import Row, at_step, newest, steps, suites
from eval.show.chart import (
    DEEP,
    FEW,
    MANY,
    PALE,
    PRUNED,
    RUN,
    UNPRUNED,
    Chart,
    Level,
    Line,
    Mark,
    Point,
    Series,
    Tone,
    between,
    spread,
)
from eval.show.curves import BUDGET, SPENT, TOTAL, Axis, protocol_note
from eval.show.curves import curves as all_curves
from eval.show.tables import budget_name

EARLIER_DRAWN = 10
"""maximum number of sweeps before the newest in one figure"""
Sweep = tuple[list[Row], Row | None]


def by_budget(rows: Sequence[Row], suite: str) -> Chart | None:
    """Accuracy by thinking budget; None without a sweep of the suite."""
    return along(rows, suite, BUDGET)


def by_tokens(rows: Sequence[Row], suite: str) -> list[Chart]:
    """Accuracy by thinking tokens really spent, and by all tokens; empty if rows do not have these."""
    return [chart for axis in (SPENT, TOTAL) if (chart := along(rows, suite, axis))]


def others(rows: Sequence[Row], suite: str) -> list[Chart]:
    """Accuracy by budget of every other suite that has several budgets."""
    several = [
        name
        for name in suites(rows)
        if name != suite and len({row["budget"] for row in rows if row["suite"] == name} - {None}) > 1
    ]
    return [chart for name in several if (chart := along(rows, name, BUDGET))]


def along(rows: Sequence[Row], suite: str, axis: Axis) -> Chart | None:
    """Accuracy along `axis`: earlier sweeps pale, then unpruned, pruned and the newest sweep with their intervals."""
    swept = steps(rows, "run", suite)
    earlier = spread(swept[:-1], EARLIER_DRAWN)
    series = [
        _line(f"recovered, step {step}", at_step(rows, "run", suite, step)[0], axis, between(PALE, DEEP, index, 14))
        for index, step in enumerate(earlier)
    ]
    series += [  # the unpruned model is broad, so that it shows below a run that equals it
        Series("unpruned", _points(newest(rows, "unpruned", suite)[0], axis), UNPRUNED, "solid", 6.0, "square"),
        Series("pruned", _points(newest(rows, "pruned", suite)[0], axis), PRUNED, "dashed", 2.6, "triangle"),
    ]
    if swept:
        points = _points(at_step(rows, "run", suite, swept[-1])[0], axis)
        series.append(Series(f"recovered, step {swept[-1]}", points, RUN, "solid", 2.6))
    shown = tuple(each for each in series if each.points)
    if not shown:
        return None
    chance = next((row["chance"] for row in rows if row["suite"] == suite and row.get("chance")), None)
    budgets = sorted({point.x for each in shown for point in each.points}) if axis is BUDGET else []
    return Chart(
        name=f"accuracy-{axis.key.replace('_', '-')}-{suites(rows).index(suite)}",
        title=f"{suite}: {axis.title}",
        along=axis.label,
        up="accuracy",
        series=shown,
        scale="log2",
        ticks=tuple(budgets),
        zero=_zero(rows, suite, axis),
        levels=(Level("chance", chance, UNPRUNED, "dotted"),) if chance else (),
        notes=_notes(rows, suite, len(swept) - 1 - len(earlier)),
    )


def _line(label: str, at_budgets: Sequence[Row], axis: Axis, tone: Tone) -> Series:
    return Series(label, _points(at_budgets, axis), tone, "solid", 1.3, "none", band=False)


def _zero(rows: Sequence[Row], suite: str, axis: Axis) -> str:
    by_likelihood = any(row["suite"] == suite and row.get("method") == "likelihood" for row in rows)
    return "likelihood" if by_likelihood else axis.zero


def _points(at_budgets: Sequence[Row], axis: Axis) -> tuple[Point, ...]:
    known = [row for row in at_budgets if axis.key in row]
    return tuple(Point(row[axis.key], row["accuracy"], row["low"], row["high"]) for row in known)


def _notes(rows: Sequence[Row], suite: str, left_out: int) -> tuple[str, ...]:
    notes = [protocol_note(all_curves(rows, suite)), "Bands: 95 % intervals."]
    if left_out > 0:
        notes.append(f"{left_out} earlier sweep(s) are not drawn; a table below lists the sweeps by step.")
    return tuple(filter(None, notes))


def parallel(rows: Sequence[Row], suite: str) -> list[Chart]:
    """pass@k and, dotted, maj@k at the largest budget over k; nothing if there is one thought per problem."""
    looks: tuple[tuple[str, str, Tone, Line, Mark], ...] = (
        ("unpruned", "unpruned", UNPRUNED, "solid", "square"),
        ("pruned", "pruned", PRUNED, "dashed", "triangle"),
        ("run", "recovered", RUN, "solid", "circle"),
    )
    summaries = {model: newest(rows, model, suite)[1] or {} for model, *_ in looks}
    series = [
        Series(f"{title}, pass@k", of_k(summaries[model], "pass_at_k"), tone, line, 2.4, mark)
        for model, title, tone, line, mark in looks
    ]
    series += [
        Series(f"{title}, maj@k", of_k(summaries[model], "maj_at_k"), tone, "dotted", 2.0, mark, band=False)
        for model, title, tone, _, mark in looks
    ]
    return over_k(suite, [each for each in series if len(each.points) > 1])


def of_k(summary: Row, key: str) -> tuple[Point, ...]:
    """The points of pass_at_k or maj_at_k of a row with budget null; () if it has none."""
    return tuple(Point(each["k"], each["value"], each.get("low"), each.get("high")) for each in summary.get(key) or [])


def over_k(suite: str, series: Sequence[Series]) -> list[Chart]:
    """The chart of these lines; none without lines."""
    ticks = tuple(sorted({point.x for each in series for point in each.points}))
    title = f"{suite}: several thoughts per problem, at the largest budget"
    chart = Chart("several-thoughts", title, "thoughts k", "accuracy", tuple(series), "log2", ticks=ticks)
    return [chart] if series else []


def by_step(rows: Sequence[Row], suite: str) -> list[Chart]:
    """Recovery from the pruned model at step 0: accuracy at each budget, gain per doubling, how thoughts end.

    Nothing before the first sweep of the run.
    """
    run_steps = steps(rows, "run", suite)
    if not run_steps:
        return []
    before: list[Sweep] = [newest(rows, "pruned", suite)] if steps(rows, "pruned", suite) else []
    sweeps = before + [at_step(rows, "run", suite, step) for step in run_steps]
    unpruned = newest(rows, "unpruned", suite)
    pruned = newest(rows, "pruned", suite)
    charts = [
        _accuracy(sweeps, unpruned[0], suite),
        _gain(sweeps, unpruned[1], pruned[1]),
        _level_back(sweeps),
        _ending(sweeps, unpruned),
    ]
    return [chart for chart in charts if chart.series]


def _accuracy(sweeps: Sequence[Sweep], unpruned: Sequence[Row], suite: str) -> Chart:
    budgets = sorted({row["budget"] for at_budgets, _ in sweeps for row in at_budgets})
    tones = {budget: between(FEW, MANY, index, len(budgets)) for index, budget in enumerate(budgets)}
    series = tuple(
        Series(
            f"{budget_name(budget)} tokens" if budget else "thinking off",
            tuple(
                Point(row["step"], row["accuracy"], row["low"], row["high"])
                for at_budgets, _ in sweeps
                for row in at_budgets
                if row["budget"] == budget
            ),
            tones[budget],
            width=2.2,
            mark="circle",
        )
        for budget in reversed(budgets)
    )
    levels = [row for row in reversed(unpruned) if row["budget"] in tones]
    return Chart(
        name="recovery-accuracy",
        title=f"{suite}: accuracy at each thinking budget",
        along="training step",
        up="accuracy",
        series=series,
        levels=tuple(
            Level(f"unpruned, {budget_name(row['budget'])}", row["accuracy"], tones[row["budget"]], "dotted")
            for row in levels
        ),
        notes=("Bands: 95 % intervals. Step 0 is the pruned model.",),
    )


def _gain(sweeps: Sequence[Sweep], unpruned: Row | None, pruned: Row | None) -> Chart:
    known = [summary for _, summary in sweeps if summary and summary["gain_per_doubling"] is not None]
    points = tuple(Point(row["step"], row["gain_per_doubling"], row["gain_low"], row["gain_high"]) for row in known)
    references = {"unpruned": (unpruned, UNPRUNED), "pruned": (pruned, PRUNED)}
    in_a_run = any((row.get("verdict_error") or RUN_ERROR) < RUN_ERROR for row in known)
    return Chart(
        name="recovery-gain",
        title="Gain per doubling of the budget",
        along="training step",
        up="gain in accuracy",
        series=(Series("recovered", points, RUN, width=2.6),) if points else (),
        unit_range=False,
        levels=tuple(
            Level(name, row["gain_per_doubling"], tone, "solid" if name == "unpruned" else "dashed")
            for name, (row, tone) in references.items()
            if row and row["gain_per_doubling"] is not None
        ),
        notes=("Band: simultaneous over all sweeps of the run." if in_a_run else "Band: 95 % intervals.",),
    )


def _level_back(sweeps: Sequence[Sweep]) -> Chart:
    shares = {summary["step"]: summary.get("level_share") or {} for _, summary in sweeps if summary}
    points = tuple(
        Point(step, share["fraction"], share["low"], share["high"])
        for step, share in shares.items()
        if share.get("fraction") is not None
    )
    return Chart(
        name="recovery-share",
        title="Share of the lost level that is back",
        along="training step",
        up="recovered fraction",
        series=(Series("recovered", points, RUN, width=2.6),) if points else (),
        unit_range=False,
        levels=(Level("all of it", 1.0, UNPRUNED, "solid"), Level("pruned", 0.0, PRUNED)),
        notes=("(recovered - pruned) / (unpruned - pruned) at the largest budget. Band: the interval of the verdict.",),
    )


def _ending(sweeps: Sequence[Sweep], unpruned: Sweep) -> Chart:
    ended = [summary for _, summary in sweeps if summary and summary["termination"] is not None]
    last = [at_budgets[-1] for at_budgets, _ in sweeps if at_budgets]
    series = (
        Series("termination", tuple(Point(row["step"], row["termination"]) for row in ended), RUN, width=2.6),
        Series(
            "looping", tuple(Point(row["step"], row["looping"]) for row in last), PRUNED, "dashed", 2.0, mark="triangle"
        ),
    )
    of_unpruned = unpruned[1]["termination"] if unpruned[1] else None
    return Chart(
        name="recovery-endings",
        title="How thoughts end at the largest budget",
        along="training step",
        up="share of thoughts",
        series=tuple(each for each in series if each.points),
        levels=(Level("termination, unpruned", of_unpruned, UNPRUNED, "solid"),) if of_unpruned is not None else (),
    )
