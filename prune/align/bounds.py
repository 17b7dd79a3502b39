"""Which candidates can be in a best choice at all, by a Lagrangian bound: the exact search need not try the others.

Most candidates of a wide matrix lie far from what any good choice takes. Leaving them out changes no result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROUNDING = 1e-9
"""relative; a candidate is left out only where it is worse by more than sums of float64 are rounded by"""

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class _Flat:
    """All candidates one after the other, and where those of each matrix begin."""

    values: Numbers  # [candidates]
    costs: Numbers  # [candidates], whole numbers
    starts: NDArray[np.intp]  # [matrices]
    matrix: NDArray[np.intp]  # [candidates], to which matrix each belongs

    def reduced(self, price: float) -> Numbers:
        """What each candidate is worth less what it costs at so much a unit, [candidates]."""
        return np.asarray(self.values - price * self.costs)

    def cheapest_best(self, price: float) -> Numbers:
        """The cost of the best candidate of each matrix at that price, of equals the cheapest, [matrices]."""
        reduced = self.reduced(price)
        best = np.maximum.reduceat(reduced, self.starts)
        return np.asarray(np.minimum.reduceat(np.where(reduced >= best[self.matrix], self.costs, np.inf), self.starts))


def promising(values: Sequence[Sequence[float]], costs: Sequence[Sequence[int]], budget: int) -> list[list[int]]:
    """Of each matrix the places of the candidates that a best choice within the budget may take, in their order.

    For any price of a unit, the sum over matrices of the largest value less price times cost, plus price times budget,
    is above every choice within the budget; forcing in one candidate lowers that bound by what it is worse than the
    best of its matrix. Where it falls below the value of a choice that is known, the candidate is in no better one.
    The budget must cover the cheapest candidates.
    """
    if not values:
        return []
    sizes = [len(own) for own in values]
    flat = _Flat(
        values=np.concatenate([np.asarray(own, dtype=np.float64) for own in values]),
        costs=np.concatenate([np.asarray(own, dtype=np.float64) for own in costs]),
        starts=np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp),
        matrix=np.repeat(np.arange(len(sizes)), sizes),
    )
    price = _price(flat, budget)
    reduced = flat.reduced(price)
    best = np.maximum.reduceat(reduced, flat.starts)
    bound = best.sum() + price * budget
    slack = bound - _known(flat, price, budget) + ROUNDING * (1.0 + np.abs(flat.values).sum())
    kept = best[flat.matrix] - reduced <= slack  # [candidates]
    return [[int(i) for i in np.flatnonzero(own)] for own in np.split(kept, flat.starts[1:])]


def _price(flat: _Flat, budget: int) -> float:
    """About the lowest price at which the best candidates, each for itself, are within the budget."""
    if flat.cheapest_best(0.0).sum() <= budget:
        return 0.0
    # costs are whole numbers: beyond the whole range of values a unit, only the cheapest candidates are best
    low, high = 0.0, float(np.ptp(flat.values)) + 1.0
    for _ in range(100):  # the middle of two floats is one of them long before
        middle = (low + high) / 2
        low, high = (low, middle) if flat.cheapest_best(middle).sum() <= budget else (middle, high)
    return high


def _known(flat: _Flat, price: float, budget: int) -> float:
    """The value of one good choice within the budget: the best at that price, then each matrix raised where it fits."""
    paid, total = flat.cheapest_best(price), 0.0
    left = budget - paid.sum()
    for i, own in enumerate(_matrices(flat)):
        values, costs = flat.values[own], flat.costs[own]
        value = values[costs <= paid[i] + left].max()
        cost = costs[(values >= value) & (costs <= paid[i] + left)].min()
        left -= cost - paid[i]
        total += float(value)
    return total


def _matrices(flat: _Flat) -> list[Any]:
    ends = [*flat.starts[1:], len(flat.values)]
    return [slice(int(start), int(end)) for start, end in zip(flat.starts, ends, strict=True)]
