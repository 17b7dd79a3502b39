"""The recovered fraction, a ratio of two differences, with its interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.numbers.contrasts import bounds
from eval.numbers.statistics import ERROR, Array, Interval

LARGEST = 2.0**20  # the largest distance from the ratio at which an end is sought
HALVINGS = 48  # of the distance to an end: down to the last bits


def recovered_fraction(run: Array, unpruned: Array, pruned: Array, error: float = ERROR) -> list[Interval | None]:
    """(run - pruned) / (unpruned - pruned) at each budget with its interval that misses with probability `error`; all
    three [problems, budgets], by the same problems.

    None if no loss from unpruned to pruned is shown (the 95 % interval of the gap reaches down to 0).
    """
    return ratio_intervals(run - pruned, unpruned - pruned, 1.0, error)


def ratio_intervals(
    numerator: Array, denominator: Array, scale: float = 1.0, error: float = ERROR
) -> list[Interval | None]:
    """mean(numerator) / mean(denominator) by column, both [problems, columns] and paired, with intervals of `error`.

    Fieller's construction (1954, Some problems in interval estimation) on the interval of contrasts with `scale`: a
    ratio r belongs to the interval if the interval of numerator - r * denominator covers 0. Its coverage is therefore
    that of a contrast, and its ends agree with the verdict's statements about the same gap. None for a column whose
    denominator is not shown to be above 0 with 95 % (the ratio is then undefined), and for fewer than 2 problems; an
    end is infinite if `error` is too small to bound the ratio.
    """
    shown = bounds(denominator, scale, ERROR)[0] > 2 / LARGEST
    intervals: list[Interval | None] = [None] * denominator.shape[1]
    if shown.any():
        numerator, denominator = numerator[:, shown], denominator[:, shown]
        ratio = numerator.mean(axis=0) / denominator.mean(axis=0)
        low, high = (_end(numerator, denominator, sign, scale, error) for sign in (-1, 1))
        for column, ends in zip(np.flatnonzero(shown), np.stack([ratio, low, high], axis=1), strict=True):
            intervals[column] = Interval(*map(float, ends))
    return intervals


def _end(numerator: Array, denominator: Array, sign: int, scale: float, error: float) -> Array:
    """The end of each column's interval below (`sign` -1) or above (1) its ratio, [columns].

    The skewness correction depends on r, so the end has no closed form, unlike plain Student intervals: it is bracketed
    by doubling the distance, then found by bisection.
    """

    def beyond(at: Array) -> NDArray[np.bool_]:
        low, high = bounds(numerator - at * denominator, scale, error)
        return np.asarray(high < 0 if sign > 0 else low > 0)

    return ends(numerator.mean(axis=0) / denominator.mean(axis=0), sign, beyond)


def ends(ratio: Array, sign: int, is_beyond: Callable[[Array], NDArray[np.bool_]]) -> Array:
    """The ends of intervals around `ratio` [columns], below (`sign` -1) or above (1); infinite if unbounded.

    is_beyond: for numbers [columns], whether each is outside its interval.
    """

    def outside(distance: Array) -> NDArray[np.bool_]:
        return is_beyond(ratio + sign * distance)

    inside, far = np.zeros_like(ratio), np.ones_like(ratio)
    # If no distance is outside, the denominator is not shown at this error and nothing bounds the ratio.
    while not (beyond := outside(far) | (far >= LARGEST)).all():
        far = np.where(beyond, far, 2 * far)
    unbounded = ~outside(far)
    for _ in range(HALVINGS):
        middle = (inside + far) / 2
        beyond = outside(middle)
        inside, far = np.where(beyond, inside, middle), np.where(beyond, middle, far)
    return np.where(unbounded, sign * np.inf, ratio + sign * far)


def share_row(share: Interval | None) -> dict[str, float | None]:
    """A share for JSON: None if it is undefined; an unbounded end is None too."""
    if share is None:
        return {"fraction": None, "low": None, "high": None}
    low, high = (end if math.isfinite(end) else None for end in (share.low, share.high))
    return {"fraction": share.estimate, "low": low, "high": high}


def share_text(row: Mapping[str, Any]) -> str:
    """`0.93 [0.88, 0.98]` for a defined `share_row`; `..` for an unbounded end."""
    low, high = (".." if row[end] is None else f"{row[end]:.2f}" for end in ("low", "high"))
    return f"{row['fraction']:.2f} [{low}, {high}]"
