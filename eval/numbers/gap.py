"""Whether a suite can show recovery at all, judged by the two references before a run trains.

Every word except NOTHING LOST, NO SCALING HERE and UNDECIDED requires that the unpruned model is better than the pruned
one at the largest budget, and that its own accuracy rises with the budget (`eval.numbers.retention.references_differ`).
The references do not change while a run trains: if they do not show this now, no sweep of the run will.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from eval.numbers.contrasts import contrast
from eval.numbers.gains import gain_per_doubling, slope_scale, thinking_columns
from eval.numbers.groups import by_group, groups_of
from eval.numbers.sequences import RUN_ERROR
from eval.numbers.statements import Statement, above, below, is_shown, span
from eval.numbers.statistics import Array
from eval.numbers.summary import paired_ids, problem_means
from eval.types import SuiteSweep


def gap_faults(
    unpruned: Array, pruned: Array, budgets: Sequence[int], delta: float, unit: str = "problems"
) -> list[str]:
    """Why no sweep on this suite can show recovery, each with what to change; [] if the references differ enough.

    unpruned, pruned: means of correct thoughts [problems, budgets], paired by row; delta: that of the verdict. unit:
    what a row is.
    """
    columns, rows = thinking_columns(budgets), len(unpruned)
    if len(columns) < 2:
        return ["one budget above 0 shows no gain: give sweep.budgets two or more"]
    if rows < 2:
        return [f"one of the {unit} allows no interval: use more"]
    largest = budgets[-1]
    lost = contrast(unpruned[:, -1] - pruned[:, -1], 1.0, RUN_ERROR)
    gain = contrast(gain_per_doubling(unpruned, budgets), slope_scale(budgets), RUN_ERROR)
    faults = []
    if not is_shown(claim := above("", lost)):
        faults.append(
            f"the pruned model is not shown to be worse than the unpruned one at {largest:,} tokens (accuracy lost "
            f"{span(lost)}): use a harder suite, a larger budget or a deeper cut{_or_more(claim[0], rows, unit)}"
        )
    doublings = math.log2(largest / budgets[columns[0]])
    if is_shown(below("", gain, delta / doublings)):
        faults.append(
            f"the unpruned model gains less than sweep.verdict.delta={delta:g} over all budgets (gain per doubling "
            f"{span(gain)}): use a harder suite or a wider range of budgets"
        )
    elif not is_shown(claim := above("", gain)):
        faults.append(
            f"the unpruned model is not shown to gain from thinking longer (gain per doubling {span(gain)}): use a "
            f"harder suite or a wider range of budgets{_or_more(claim[0], rows, unit)}"
        )
    return faults


def suite_gap(unpruned: SuiteSweep, pruned: SuiteSweep, delta: float) -> list[str]:
    """`gap_faults` of the two references on one suite, by groups if its problems have any."""
    ids = paired_ids([unpruned, pruned])
    means = [problem_means(sweep, ids) for sweep in (unpruned, pruned)]
    groups = groups_of(ids, unpruned.groups)
    if groups is not None:
        means = [by_group(each, groups) for each in means]
    return gap_faults(means[0], means[1], unpruned.budgets, delta, "problems" if groups is None else "groups")


def _or_more(statement: Statement, rows: int, unit: str) -> str:
    """How many problems would show it; "" if no number would."""
    found = statement.problem_range(rows)
    if found is None:
        return ""
    most = "or more" if found.high is None else f"to {found.high:,}"
    return f", or more {unit} ({rows:,} now; {found.low:,} {most} would show it, 80 % range)"
