"""Quantiles, and the 95 % interval of an accuracy: pure functions on numpy arrays, clustered by problem.

Problems are the sampled unit: two thoughts on one problem are not independent evidence. So every function of
`eval.numbers` takes means by problem, [problems] or [problems, budgets]; a problem with a missing thought counts by the
mean of the others. docs/statistics.md says which interval each number has, why, and its measured coverage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ERROR = 0.05  # the probability that a 95 % interval misses


@dataclass(frozen=True)
class Interval:
    """An estimate and its interval, in the unit of the estimate."""

    estimate: float
    low: float
    high: float


def normal_quantile(error: float) -> float:
    """The standard normal quantile with `error` outside, both sides together: 1.96 for 0.05."""
    return -NormalDist().inv_cdf(error / 2)


def student_quantile(degrees: float, error: float = ERROR) -> float:
    """Student's quantile with `error` outside, both sides together; infinite below one degree of freedom.

    By Wallace's transformation (1959, Bounds on normal approximations to Student's and the chi-square distributions),
    inverted. Accurate to 0.6 % from 9 degrees of freedom at errors of 0.05 … 2e-4; with fewer it is too wide, never too
    narrow (at 2 degrees by 4 % at an error of 0.05, by half at 2.5e-4).
    """
    if degrees < 1:
        return math.inf
    z = normal_quantile(error) * (8 * degrees + 3) / (8 * degrees + 1)
    return math.sqrt(degrees * math.expm1(z * z / degrees))


def wilson(share: float, number: float, z: float) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share observed in `number` independent trials, `z` standard errors wide."""
    centre = (share + z**2 / (2 * number)) / (1 + z**2 / number)
    half = z / (1 + z**2 / number) * math.sqrt(share * (1 - share) / number + z**2 / (4 * number**2))
    # rounding can put an end a last bit inside the share itself (all right or all wrong)
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def variance_degrees(values: Array) -> float:
    """Degrees of freedom of the variance between `values` [problems], at most their number minus 1.

    Satterthwaite (1946): a variance known with relative variance v has 2 / v of them. A few problems that differ from
    all others say less about the variance than many that all differ a little.
    """
    squares = (values - values.mean()) ** 2
    total = float(squares.sum())
    concentration = float((squares**2).sum()) / total**2 - 1 / len(values) if total > 1e-12 else 0.0
    return min(len(values) - 1.0, 2 / concentration) if concentration > 0 else len(values) - 1.0


def accuracy_interval(means: Array) -> tuple[float, float]:
    """95 % interval of the mean of `means` [problems], one number in [0, 1] per problem: its share of correct thoughts.

    Wilson's interval with the effective sample size instead of n and Student's quantile instead of z (Korn and Graubard
    1998). It is never wider than with one independent thought per problem, and never of zero width; [0, 1] for one
    problem.
    """
    problems, p = len(means), float(np.mean(means))
    if problems < 2:
        return 0.0, 1.0
    # Thoughts on one problem are alike; at the least they are worth one independent thought per problem.
    low, high = wilson(p, problems, student_quantile(problems - 1))
    variance = float(np.var(means, ddof=1))
    if variance < 1e-12:
        return low, high
    # If few problems differ from 0 (or from 1), only these show how alike thoughts are. So the ratio of the variance to
    # its largest possible value is shrunk towards 1, and the quantile has the degrees of freedom of the variance
    # itself.
    differing = min(int((means > 0).sum()), int((means < 1).sum()))
    ratio = min(1.0, variance / (p * (1 - p))) ** (differing / (differing + 0.5))
    narrow_low, narrow_high = wilson(p, problems / ratio, student_quantile(variance_degrees(means)))
    return max(low, narrow_low), min(high, narrow_high)
