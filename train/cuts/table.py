"""The table of cuts: pure functions from rows of sweeps to Markdown, and its insertion into a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eval.numbers.summary import newest, suites
from eval.show.tables import budget_name, cell, gain_cell, way_of_asking
from prune.plan import PrunePlan, describe_merges
from recipes.errors import UserError
from train.cuts.made import Measured
from train.cuts.trained import Trained

BEGIN, END = "<!-- cuts: written by python -m train.cuts page=… -->", "<!-- cuts end -->"


def markdown(cuts: Sequence[Measured], suite: str) -> str:
    """One row per model: the removed layers, accuracy on every other suite at its largest budget and on `suite` at each
    budget (all with 95 % intervals), and the gain per doubling of the budget."""
    others = [name for name in suites(cuts[0].rows) if name != suite]
    lines = [_line(_heads(cuts[0], others, suite))]
    lines.append(_line(["---"] * (len(_heads(cuts[0], others, suite)))))
    return "\n".join([*lines, *(_line(_cells(cut, others, suite)) for cut in cuts)]) + "\n"


def comeback(cuts: Sequence[Measured], suite: str) -> str:
    """Recovery by the short training and its cost: a table, then for each number of layers the best cut at the largest
    budget and the cuts whose difference from it is not significant. Empty if nothing was trained."""
    trained = [(cut, cut.trained) for cut in cuts if cut.trained]
    if not trained:
        return ""
    steps = trained[0][1].steps
    lines = [_line(["method", "layers", f"{suite} after {steps} steps", "gain per doubling", "tokens", "seconds"])]
    lines.append(_line(["---"] * 6))
    for cut, done in trained:
        rows, summary = newest(done.rows, "run", suite)
        cost = f"{done.tokens:,.0f}", f"{done.seconds:.0f}"
        lines.append(_line([_method(cut), str(cut.layers), cell(rows[-1]), gain_cell(summary), *cost]))
    counts = dict.fromkeys(cut.layers for cut, _ in trained)
    choices = [_furthest([pair for pair in trained if pair[0].layers == count], suite) for count in counts]
    tokens, seconds = (sum(getattr(done, name) for _, done in trained) for name in ("tokens", "seconds"))
    return "\n".join(["", *lines, "", *choices, f"- cost: {tokens:,.0f} tokens and {seconds:,.0f} seconds in all", ""])


def _furthest(trained: Sequence[tuple[Measured, Trained]], suite: str) -> str:
    at_largest = [(cut, newest(done.rows, "run", suite)[0][-1]) for cut, done in trained]
    best, top = max(at_largest, key=lambda pair: float(pair[1]["accuracy"]))
    like = [_method(cut) for cut, row in at_largest if cut is not best and row["high"] >= top["low"]]
    beside = f", not distinguishable from {', '.join(like)}" if like else ""
    return f"- {best.layers} layer{'s' * (best.layers > 1)}: {_method(best)} recovers most{beside}"


def check_page(page: Path) -> None:
    """UserError, before anything is measured, if the page does not exist or lacks the markers."""
    try:
        text = page.read_text(encoding="utf-8")
    except OSError:
        raise UserError(f"page={page}: no such file; name a Markdown page") from None
    if BEGIN not in text or END not in text.partition(BEGIN)[2]:
        raise UserError(f"page={page}: add the lines {BEGIN} and {END}; the table goes between them")


def with_table(page: str, table: str) -> str:
    """The page with `table` between its markers."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table}\n{END}{rest.partition(END)[2]}"


def _heads(cut: Measured, others: Sequence[str], suite: str) -> list[str]:
    rows, _ = newest(cut.rows, "run", suite)
    first, *budgets = (budget_name(row["budget"]) for row in rows)
    at_largest = [f"{name} {way_of_asking(newest(cut.rows, 'run', name)[0][-1])}" for name in others]
    return ["method", "layers", "without", *at_largest, f"{suite} at {first}", *budgets, "gain per doubling"]


def _cells(cut: Measured, others: Sequence[str], suite: str) -> list[str]:
    rows, summary = newest(cut.rows, "run", suite)
    at_largest = [cell(newest(cut.rows, "run", name)[0][-1]) for name in others]
    gone = _gone(cut.plan) if cut.plan else "-"
    return [_method(cut), str(cut.layers), gone, *at_largest, *map(cell, rows), gain_cell(summary)]


def _method(cut: Measured) -> str:
    """The method with its details: LaCo's threshold, whether the gaps were repaired."""
    threshold = "" if cut.threshold is None else f", T {cut.threshold:g}"
    return f"{cut.method}{threshold}{', repaired' if cut.plan and cut.plan.repairs else ''}"


def _gone(plan: PrunePlan) -> str:
    """The removed layers; for merges first which layers went into which."""
    folded = {i for group in plan.merged for i in group[1:]}
    removed = ", ".join(str(i) for i in plan.removed if i not in folded)
    return "; ".join(part for part in (describe_merges(plan.merged), removed) if part)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
