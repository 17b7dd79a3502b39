"""Comparing runs: paired differences by problem, with Holm's correction over all compared pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby

import numpy as np

from eval.numbers.contrasts import reach, spread
from eval.numbers.gains import gain_per_doubling, slope_scale, thinking_columns
from eval.numbers.statistics import ERROR, Array

LEAST_P = 1e-12
HALVINGS = 60


@dataclass(frozen=True)
class Number:
    """A compared number: its name and budget (None for a gain), the `weights` [budgets] that compute it from
    accuracies, and `scale`, the most that one model's share in one problem's difference can be."""

    what: str
    budget: int | None
    weights: Array
    scale: float


@dataclass(frozen=True)
class Difference:
    """`first` minus `second` in one number, with its own 95 % interval and the Holm-corrected p-value; budget: None for
    a gain per doubling, which `what` then says."""

    first: str
    second: str
    what: str
    budget: int | None
    estimate: float
    low: float
    high: float
    p: float
    adjusted: float


def differences(means: Mapping[str, Array], budgets: Sequence[int], against: str | None = None) -> list[Difference]:
    """All pairs of `means` (by name, [problems, budgets] of the same problems) in gain, level, and accuracy at each
    budget; with `against`, only the pairs of every other name with that one.

    Gain and level are corrected over the pairs, the curve over pairs and budgets. No gain if fewer than two budgets
    are above 0; nothing for fewer than two problems.
    """
    pairs = list(combinations(means, 2)) if against is None else [(name, against) for name in means if name != against]
    if min((len(each) for each in means.values()), default=0) < 2 or not pairs:
        return []
    thinking = len(thinking_columns(budgets)) > 1
    kinds: list[list[Number]] = [
        [Number("gain per doubling", None, gain_weights(budgets), slope_scale(budgets))] if thinking else [],
        [Number("level", budgets[-1], np.eye(len(budgets))[-1], 1.0)],
        [Number("accuracy", budget, np.eye(len(budgets))[k], 1.0) for k, budget in enumerate(budgets)],
    ]
    return [difference for kind in kinds if kind for difference in _corrected(means, pairs, kind)]


def gain_weights(budgets: Sequence[int]) -> Array:
    """Weights [budgets] of the gain per doubling."""
    return gain_per_doubling(np.eye(len(budgets)), budgets)


def _corrected(
    means: Mapping[str, Array], pairs: Sequence[tuple[str, str]], kind: Sequence[Number]
) -> list[Difference]:
    weights = np.stack([number.weights for number in kind], axis=1)  # [budgets, numbers]
    scales = np.array([number.scale for number in kind])
    values = {name: each @ weights for name, each in means.items()}  # [problems, numbers]
    raw: list[tuple[str, str, str, int | None, float, float, float, float]] = []
    for first, with_first in groupby(pairs, key=lambda pair: pair[0]):
        seconds = [second for _, second in with_first]
        # all pairs with the same first run together: a loop over thousands of pairs would take most of the time
        paired = values[first][:, None] - np.stack([values[second] for second in seconds], axis=1)
        low, high, p = _intervals(paired, scales)
        estimate = paired.mean(axis=0)
        for i, second in enumerate(seconds):
            for k, number in enumerate(kind):
                at = [float(each[i, k]) for each in (estimate, low, high, p)]
                raw.append((first, second, number.what, number.budget, at[0], at[1], at[2], at[3]))
    adjusted = holm([row[-1] for row in raw])
    return [Difference(*row, adjusted=value) for row, value in zip(raw, adjusted, strict=True)]


def _intervals(values: Array, scales: Array) -> tuple[Array, Array, Array]:
    """Lower bound, upper bound and p-value, each [pairs, numbers], of the means of `values` [problems, pairs, numbers];
    `scales` [numbers]."""
    deviation, skewness = spread(values)
    below, above = reach(deviation, skewness, scales, len(values), ERROR)
    mean = values.mean(axis=0)
    return mean - below, mean + above, p_values(values, scales)


def p_value(values: Array, scale: float) -> float:
    """The error at which the interval of the mean of `values` [problems] just reaches 0; at least 1e-12."""
    return float(p_values(values[:, None], np.array([scale]))[0])


def p_values(values: Array, scale: Array) -> Array:
    """The error at which the interval (`contrasts.reach`) of each mean of `values` [problems, …] just reaches 0, […];
    at least 1e-12. `scale` is broadcast over […].

    The reach is the larger of two terms that both grow with the quantile, so the interval reaches 0 at the smaller of
    the two quantiles at which one term alone does: Wilson's in closed form, and Student's as the root of a quadratic,
    converted from Student's to the normal quantile as in `student_quantile`.
    """
    deviation, skewness = spread(values)
    problems, mean = len(values), values.mean(axis=0)
    distance = np.abs(mean)
    z = np.minimum(
        _student_reaching(distance, deviation, np.maximum(-np.sign(mean) * skewness, 0), problems),
        np.sqrt(_quotient(problems * distance, np.broadcast_to(scale, mean.shape) - distance)),
    )
    z = np.where(distance > 0, z, 0.0)
    errors = np.array([math.erfc(each / math.sqrt(2)) for each in z.ravel()]).reshape(z.shape)
    return np.asarray(np.maximum(errors, LEAST_P), dtype=np.float64)


def _student_reaching(distance: Array, deviation: Array, outward: Array, problems: int) -> Array:
    """The normal quantile whose Student's quantile t has t s / sqrt(P) + g s (1 + 2 t²) / (6 P) = distance, with the
    skewness g of the tail towards 0 (`outward`, at least 0); 0 if the left side is larger at t = 0 already."""
    square, line = outward * deviation / (3 * problems), deviation / math.sqrt(problems)
    left = np.maximum(distance - square / 2, 0)
    # the form of the root that subtracts nothing: it holds for square = 0 too
    t = _quotient(2 * left, line + np.sqrt(line**2 + 4 * square * left))
    degrees = problems - 1
    return np.asarray(np.sqrt(degrees * np.log1p(t**2 / degrees)) * (8 * degrees + 1) / (8 * degrees + 3))


def _quotient(numerator: Array, denominator: Array) -> Array:
    """Infinite if the denominator is 0 or below."""
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.inf), where=denominator > 0)


def least_error(excludes: Callable[[float], bool]) -> float:
    """The smallest error at which an interval `excludes` 0, by bisection; at least 1e-12."""
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
