"""Runs against each other: paired differences by problem, with Holm's correction over all pairs that are compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from eval.numbers.contrasts import contrast, reach, spread
from eval.numbers.gains import gain_per_doubling, slope_scale, thinking_columns
from eval.numbers.statistics import ERROR, Array

LEAST_P = 1e-12
HALVINGS = 60


@dataclass(frozen=True)
class Difference:
    """`first` less `second` in one number, with its 95 % interval by itself and the p-value that Holm's correction
    leaves; budget: None for a gain per doubling, which `what` then says."""

    first: str
    second: str
    what: str
    budget: int | None
    estimate: float
    low: float
    high: float
    p: float
    adjusted: float


def differences(means: Mapping[str, Array], budgets: Sequence[int]) -> list[Difference]:
    """All pairs of `means` (by name, [problems, budgets] of the same problems) in gain, level, and accuracy at each
    budget.

    Gain and level are corrected over the pairs, the curve over pairs and budgets. No gain where fewer than two budgets
    are above 0; nothing for fewer than two problems.
    """
    pairs = list(combinations(means, 2))
    if min((len(each) for each in means.values()), default=0) < 2:
        return []
    thinking = len(thinking_columns(budgets)) > 1
    kinds: list[list[tuple[str, int | None, Array, float]]] = [
        [("gain per doubling", None, gain_weights(budgets), slope_scale(budgets))] if thinking else [],
        [("level", budgets[-1], np.eye(len(budgets))[-1], 1.0)],
        [("accuracy", budget, np.eye(len(budgets))[k], 1.0) for k, budget in enumerate(budgets)],
    ]
    return [difference for kind in kinds for difference in _corrected(means, pairs, kind)]


def gain_weights(budgets: Sequence[int]) -> Array:
    """Weights [budgets] of the gain per doubling."""
    return gain_per_doubling(np.eye(len(budgets)), budgets)


def _corrected(
    means: Mapping[str, Array],
    pairs: Sequence[tuple[str, str]],
    kind: Sequence[tuple[str, int | None, Array, float]],
) -> list[Difference]:
    raw = []
    for first, second in pairs:
        for what, budget, weights, scale in kind:
            values = (means[first] - means[second]) @ weights
            interval, p = contrast(values, scale, ERROR), p_value(values, scale)
            raw.append((first, second, what, budget, interval.estimate, interval.low, interval.high, p))
    adjusted = holm([row[-1] for row in raw])
    return [Difference(*row, adjusted=value) for row, value in zip(raw, adjusted, strict=True)]


def p_value(values: Array, scale: float) -> float:
    """The error at which the interval of the mean of `values` [problems] just reaches 0, by halving; at least 1e-12."""
    deviation, skewness = spread(values)
    mean, problems = float(values.mean()), len(values)

    def excludes(error: float) -> bool:
        below, above = reach(deviation, skewness, scale, problems, error)
        return bool(mean > below or mean < -above)

    return least_error(excludes)


def least_error(excludes: Callable[[float], bool]) -> float:
    """The least error at which an interval `excludes` 0, by halving; at least 1e-12."""
    low, high = math.log(LEAST_P), 0.0
    if excludes(LEAST_P):
        return LEAST_P
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if excludes(math.exp(middle)) else (middle, high)
    return math.exp(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979, A simple sequentially rejective multiple test procedure), in order."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted
