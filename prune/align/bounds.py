"""Removes candidates that cannot be in any optimal choice, by a Lagrangian bound, before the exact search.

Most candidates of a wide matrix are far from what any good choice takes. Leaving them out does not change the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROUNDING = 1e-9
"""relative; a candidate is dropped only if it is worse by more than the rounding of sums in float64"""

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class _Flat:
    """All candidates in one array, and the position at which those of each matrix begin."""

    values: Numbers  # [candidates]
    costs: Numbers  # [candidates], whole numbers
    starts: NDArray[np.intp]  # [matrices]
    matrix: NDArray[np.intp]  # [candidates], the matrix that each belongs to

    def reduced(self, price: float) -> Numbers:
        """The value of each candidate minus price times cost, [candidates]."""
        return np.asarray(self.values - price * self.costs)

    def cheapest_best(self, price: float) -> Numbers:
        """The cost of the best candidate of each matrix at that price; ties go to the cheapest, [matrices]."""
        reduced = self.reduced(price)
        best = np.maximum.reduceat(reduced, self.starts)
        return np.asarray(np.minimum.reduceat(np.where(reduced >= best[self.matrix], self.costs, np.inf), self.starts))


def promising(values: Sequence[Sequence[float]], costs: Sequence[Sequence[int]], budget: int) -> list[list[int]]:
    """For each matrix, the positions of the candidates that an optimal choice within the budget may take, in order.

    For any unit price, an upper bound on every choice within the budget is: price times budget, plus the sum over
    matrices of the largest (value - price times cost). Forcing in one candidate lowers this bound by its distance to
    the best of its matrix. If the lowered bound is below the value of a known choice, no better choice has the
    candidate. The budget must cover the cheapest candidates.
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
    """Approximately the lowest price at which the best candidates, chosen independently, are within the budget."""
    if flat.cheapest_best(0.0).sum() <= budget:
        return 0.0
    # costs are whole numbers: at a price above the whole range of values, only the cheapest candidates are best
    low, high = 0.0, float(np.ptp(flat.values)) + 1.0
    for _ in range(100):  # bisection; the midpoint equals one of the two floats long before that
        middle = (low + high) / 2
        low, high = (low, middle) if flat.cheapest_best(middle).sum() <= budget else (middle, high)
    return high


def _known(flat: _Flat, price: float, budget: int) -> float:
    """The value of one good choice within the budget: the best at that price, then each matrix raised if it fits."""
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
