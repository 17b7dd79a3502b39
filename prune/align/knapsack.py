"""Exact multiple-choice knapsack: one size per matrix, so that the total value is largest within a budget.

This is the problem of GAC (arXiv 2604.09595, section 4): every matrix takes one of its aligned sizes, and the total
number of parameters is limited. Pure: numpy, no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd, isfinite

import numpy as np
from numpy.typing import NDArray

from prune.align.bounds import promising
from recipes.errors import UserError

MOST_ENTRIES = 400_000_000
"""table entries of one or two bytes: the candidate taken, by matrix and remaining budget"""


@dataclass(frozen=True)
class Selection:
    chosen: tuple[int, ...]
    """one candidate per matrix"""
    value: float
    cost: int
    """at most the budget"""


def select_dimensions(
    candidates: Sequence[Sequence[int]],
    values: Sequence[Sequence[float]],
    costs: Sequence[Sequence[int]],
    budget: int,
) -> Selection:
    """One candidate per matrix, such that the sum of values is largest and the sum of costs at most `budget`.

    candidates, values, costs: one list per matrix, all of one length (size, value, parameters). Among equal values the
    cheaper one is taken. The result is exact, up to the rounding of sums in float64.

    Dynamic programming over the budget that remains after every matrix has its cheapest candidate, in steps of the
    greatest common divisor of all additional costs: aligned sizes make these steps large and the table small. Only
    candidates that can be in an optimal choice are tried (`promising`).

    Raises UserError if lists contradict each other, a value is not finite, a cost is negative, or even the cheapest
    candidates exceed the budget.
    """
    _check(candidates, values, costs)
    least = sum(min(each) for each in costs)
    if least > budget:
        raise UserError(
            f"budget: {budget:,} is below {least:,}, the total cost of the smallest candidates; allow more, "
            "or smaller candidates"
        )
    places = promising(values, costs, budget)
    taken = _best_of(places, values, costs, budget)
    return Selection(
        chosen=tuple(each[i] for each, i in zip(candidates, taken, strict=True)),
        value=float(sum(each[i] for each, i in zip(values, taken, strict=True))),
        cost=sum(each[i] for each, i in zip(costs, taken, strict=True)),
    )


def linear_values(importance: float, costs: Sequence[int], unaligned: int) -> list[float]:
    """GAC's own value of each candidate of one matrix: s_i (|W_i(d)| - |W_i*|), the matrix's importance times the
    parameters that the candidate has more (or fewer) than the unaligned size.

    It is valid only near the unaligned size. It has no diminishing returns, so over a wide range of candidates it gives
    important matrices everything and the others nothing. The pruning methods here use `kept_energy`.
    """
    return [importance * (cost - unaligned) for cost in costs]


def kept_energy(energies: Sequence[float] | NDArray[np.float64], sizes: Sequence[int]) -> list[float]:
    """For each size n, the share of total energy, in [0, 1], in the n largest energies (channels, singular directions).

    Energies may be in any order. If all are 0, no size loses anything and every share is 1.
    """
    ranked = np.sort(np.asarray(energies, dtype=np.float64))[::-1]
    if ranked.size == 0 or ranked.sum() <= 0:
        return [1.0] * len(sizes)
    sums = np.concatenate([[0.0], np.cumsum(ranked)])
    return [float(min(1.0, sums[min(size, ranked.size)] / sums[-1])) for size in sizes]


def _best_of(
    places: Sequence[Sequence[int]], values: Sequence[Sequence[float]], costs: Sequence[Sequence[int]], budget: int
) -> list[int]:
    """The position that each matrix takes among the given ones."""
    paid = [[own[i] for i in some] for own, some in zip(costs, places, strict=True)]
    worth = [[own[i] for i in some] for own, some in zip(values, places, strict=True)]
    cheapest = [min(own) for own in paid]
    extra = [[cost - least for cost in own] for own, least in zip(paid, cheapest, strict=True)]
    step = gcd(*(cost for own in extra for cost in own)) or 1
    left = min(budget - sum(cheapest), sum(map(max, extra))) // step
    taken = _solve([[cost // step for cost in own] for own in extra], worth, left)
    return [some[i] for some, i in zip(places, taken, strict=True)]


def _solve(weights: Sequence[Sequence[int]], values: Sequence[Sequence[float]], capacity: int) -> list[int]:
    """Which candidate each matrix takes; every matrix has one of weight 0."""
    if len(weights) * (capacity + 1) > MOST_ENTRIES:
        raise UserError(
            f"budget: the table would have {len(weights) * (capacity + 1):,} entries, more than {MOST_ENTRIES:,}; use "
            "a coarser multiple, so that the costs have a larger common divisor"
        )
    most = max(map(len, weights), default=0)
    table = np.zeros((len(weights), capacity + 1), dtype=np.uint8 if most <= 256 else np.uint16)
    best = np.zeros(capacity + 1)  # the largest value within each weight, [capacity + 1]
    for row, (own_weights, own_values) in enumerate(zip(weights, values, strict=True)):
        better = np.full(capacity + 1, -np.inf)
        # cheapest first, and only for a strict gain, so that ties keep the cheaper one
        for i in sorted(range(len(own_weights)), key=lambda i: own_weights[i]):
            weight = own_weights[i]
            if weight > capacity:
                break
            reached = best[: capacity + 1 - weight] + own_values[i]
            gained = reached > better[weight:]
            better[weight:][gained] = reached[gained]
            table[row, weight:][gained] = i
        best = better
    return _trace_back(table, weights, capacity)


def _trace_back(table: NDArray[np.unsignedinteger], weights: Sequence[Sequence[int]], capacity: int) -> list[int]:
    taken = []
    for row in range(len(weights) - 1, -1, -1):
        i = int(table[row, capacity])
        taken.append(i)
        capacity -= weights[row][i]
    return taken[::-1]


def _check(
    candidates: Sequence[Sequence[int]], values: Sequence[Sequence[float]], costs: Sequence[Sequence[int]]
) -> None:
    if not len(candidates) == len(values) == len(costs):
        raise UserError(f"candidates, values and costs are of {len(candidates)}, {len(values)}, {len(costs)} matrices")
    for row, (own, worth, paid) in enumerate(zip(candidates, values, costs, strict=True)):
        if not len(own) == len(worth) == len(paid) or not own:
            raise UserError(
                f"matrix {row}: {len(own)} candidates, {len(worth)} values and {len(paid)} costs; give one or more of "
                "each, and the same number of each"
            )
        if not all(map(isfinite, worth)) or min(paid) < 0:
            raise UserError(
                f"matrix {row}: values must be finite and costs at least 0, got {list(worth)}, {list(paid)}"
            )
