"""The recovered fraction, a ratio of two differences, with the interval that belongs to one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eval.numbers.contrasts import bounds
from eval.numbers.statistics import ERROR, Array, Interval

LARGEST = 2.0**20  # the farthest that an end is sought from the ratio
HALVINGS = 48  # of the distance to an end: to the last bits


def recovered_fraction(run: Array, unpruned: Array, pruned: Array) -> list[Interval | None]:
    """(run - pruned) / (unpruned - pruned) at each budget with its 95 % interval; all three [problems, budgets], by the
    same problems.

    None where no loss from unpruned to pruned is shown (the interval of the gap reaches down to 0).
    """
    return ratio_intervals(run - pruned, unpruned - pruned)


def ratio_intervals(numerator: Array, denominator: Array) -> list[Interval | None]:
    """mean(numerator) / mean(denominator) by column, both [problems, columns] and paired, with 95 % intervals.

    Fieller's construction (1954, Some problems in interval estimation) on the interval of contrasts: a ratio r belongs
    to the interval where that of numerator - r * denominator covers 0. Its coverage is therefore that of a contrast,
    and its ends agree with what the verdict says of the same gap. None for a column whose denominator is not shown to
    be above 0 (the ratio is then not defined, nor the interval bounded), and for fewer than 2 problems.
    """
    shown = bounds(denominator, 1.0, ERROR)[0] > 2 / LARGEST
    intervals: list[Interval | None] = [None] * denominator.shape[1]
    if shown.any():
        numerator, denominator = numerator[:, shown], denominator[:, shown]
        ratio = numerator.mean(axis=0) / denominator.mean(axis=0)
        low, high = (_end(numerator, denominator, ratio, sign) for sign in (-1, 1))
        for column, ends in zip(np.flatnonzero(shown), np.stack([ratio, low, high], axis=1), strict=True):
            intervals[column] = Interval(*map(float, ends))
    return intervals


def _end(numerator: Array, denominator: Array, ratio: Array, sign: int) -> Array:
    """The end of each column's interval below (`sign` -1) or above (1) its `ratio`, [columns].

    The skewness correction depends on r, so the end has no closed form as with plain Student intervals: it is bracketed
    by doubling the distance, then found by halving.
    """

    def outside(distance: Array) -> NDArray[np.bool_]:
        low, high = bounds(numerator - (ratio + sign * distance) * denominator, 1.0, ERROR)
        return np.asarray(high < 0 if sign > 0 else low > 0)

    inside, far = np.zeros_like(ratio), np.ones_like(ratio)
    # Ends: the denominator is shown to be above 0, so that far from the ratio no contrast covers 0 any more.
    while not (beyond := outside(far) | (far >= LARGEST)).all():
        far = np.where(beyond, far, 2 * far)
    for _ in range(HALVINGS):
        middle = (inside + far) / 2
        beyond = outside(middle)
        inside, far = np.where(beyond, inside, middle), np.where(beyond, middle, far)
    return ratio + sign * far
