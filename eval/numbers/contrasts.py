"""The interval of a contrast: the mean over problems of something that can have either sign, such as a gain or the
difference of two models on the same problems.

Student's interval over problems, moved outward for skewness (Johnson 1978, Modified t tests and confidence intervals
for asymmetrical populations) and never narrower than Wilson's bound for as many problems without any difference. All
gains and differences, in tables and in the verdict, use this one interval; docs/statistics.md explains why, and has the
measurements.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from eval.numbers.statistics import Array, Interval, normal_quantile, student_quantile


@dataclass(frozen=True)
class Contrast(Interval):
    """A contrast with its interval and the quantities that set the width: the standard deviation and the skewness
    between problems, and `scale`, the most that one model's share in one problem's contrast can be (1 for an accuracy,
    `gains.slope_scale` for a gain). error: the probability with which the interval misses."""

    deviation: float
    skewness: float
    scale: float
    error: float


def contrast(values: Array, scale: float, error: float) -> Contrast:
    """The mean of `values` [problems], at least 2, with the interval that misses with probability `error`."""
    deviation, skewness = spread(values)
    below, above = reach(deviation, skewness, scale, len(values), error)
    mean = float(values.mean())
    return Contrast(mean, mean - float(below), mean + float(above), float(deviation), float(skewness), scale, error)


def spread(values: Array) -> tuple[Array, Array]:
    """Standard deviation and skewness over the problems of `values` [problems, …], at least 2, each [...]."""
    distances = values - values.mean(axis=0)
    deviation = np.sqrt((distances**2).sum(axis=0) / (len(values) - 1))
    third = (distances * distances * distances).mean(axis=0)  # **3 is a slow power in numpy
    # If all problems agree there is no skewness; a quotient of rounding errors would be arbitrary.
    skewness = np.divide(third, deviation**3, out=np.zeros_like(third), where=deviation > 1e-12)
    return deviation, skewness


def reach(
    deviation: ArrayLike, skewness: ArrayLike, scale: ArrayLike, problems: int, error: float
) -> tuple[Array, Array]:
    """How far below and above a mean over `problems` its interval reaches, with `error` outside both sides together.

    Student's t * s / sqrt(P), moved outward on the side of the longer tail by Johnson's g * s * (1 + 2 t²) / (6 P) with
    skewness g; never inward, as g is itself an estimate. Each side reaches at least scale * z² / (P + z²), Wilson's
    bound for P problems without any difference: if all problems agree the spread is 0, yet the next one may differ.
    """
    s, g = np.asarray(deviation, dtype=np.float64), np.asarray(skewness, dtype=np.float64)
    t, z2 = student_quantile(problems - 1, error), normal_quantile(error) ** 2
    half = t * s / math.sqrt(problems)
    outward = g * s * (1 + 2 * t * t) / (6 * problems)
    least = z2 / (problems + z2) * np.asarray(scale, dtype=np.float64)
    return np.maximum(half - np.minimum(outward, 0), least), np.maximum(half + np.maximum(outward, 0), least)


def bounds(values: Array, scale: float, error: float) -> tuple[Array, Array]:
    """Lower and upper bound, each [...], of the means over the problems of `values` [problems, …] by `reach`; infinite
    for one problem."""
    mean = values.mean(axis=0)
    if len(values) < 2:
        return np.full_like(mean, -np.inf), np.full_like(mean, np.inf)
    below, above = reach(*spread(values), scale, len(values), error)
    return mean - below, mean + above
