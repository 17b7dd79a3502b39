"""Many looks at one run: intervals that hold for all of its sweeps at once, so that watching does not cry wolf.

A run is judged every N steps on the same problems. Each verdict alone errs in at most 5 % of runs; forty of them, read
as they come, err far more often. So the 5 % belong to the run and are shared out before it starts: the last sweep has
one half, and the sweeps before it share the other half equally. The last verdict thus pays little for having watched
(21 % more problems for the same power), the verdicts on the way pay more (1.5 times the problems with 3 of them, 1.9
times with 9, 2.3 times with 39).

An interval with error share e misses with probability e; by the union bound (Bonferroni; sharing an error among looks:
Lan and DeMets 1983, Discrete sequential boundaries for clinical trials) the chance that any interval of one statement
misses at any sweep is at most 5 %, however the sweeps depend on each other, whenever one stops, and whichever sweep one
quotes. What it assumes: the problems are a sample of those one asks about, nothing was trained or chosen on them, and
the number of steps was planned; a run that is prolonged is a new plan, which spends up to 5 % again. The bound is
conservative where sweeps resemble each other. False RETURNED in 40 sweeps of a model that is exactly as far behind as
the margin, by simulation (50 … 400 problems): at most 2.8 %; with 95 % at each sweep by itself 11 … 66 %.

Shares are small (6e-4 with 40 sweeps). There bootstrap percentiles have no resamples left, and Student's interval
fails: a model that fails one problem in twenty by a whole step gives contrasts so skewed that it errs up to 13 times
too often. Johnson's skewness correction (1978, Modified t tests and confidence intervals for asymmetrical populations)
keeps the error within 1.5 times its share, from 2.5 % down to 0.0125 % a side, from 30 to 1,200 problems.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from eval.statistics import Array, Interval

RUN_ERROR = 0.05  # of all sweeps of one run together, and of a sweep that is judged alone
LAST_ERROR = 0.025  # of the last sweep; the sweeps before it share as much


def sweep_error(step: int, every_steps: int, max_steps: int) -> float:
    """The error share of the sweep after `step` in a run that sweeps every `every_steps` and after `max_steps`.

    It depends on the plan and the step alone, so a resumed run gives every sweep the share that it would have had.
    """
    before_last = (max_steps - 1) // every_steps
    if before_last == 0:
        return RUN_ERROR
    return LAST_ERROR if step >= max_steps else (RUN_ERROR - LAST_ERROR) / before_last


def normal_quantile(error: float) -> float:
    """The standard normal quantile with `error` outside, both sides together: 1.96 for 0.05."""
    return -NormalDist().inv_cdf(error / 2)


def student_quantile(degrees: int, error: float) -> float:
    """Student's quantile with `error` outside on both sides together; infinite without a degree of freedom.

    By Wallace's transformation (1959, Bounds on normal approximations to Student's and the chi-square distributions),
    turned round. From 9 degrees of freedom within 0.6 % at errors of 0.05 … 2e-4; with fewer it is too wide, never too
    narrow.
    """
    if degrees < 1:
        return math.inf
    z = normal_quantile(error) * (8 * degrees + 3) / (8 * degrees + 1)
    return math.sqrt(degrees * math.expm1(z * z / degrees))


def bounds(contrasts: Array, scales: Sequence[float], error: float) -> tuple[Array, Array]:
    """Lower and upper bound [M] of the mean of each column of `contrasts` [P, M], with `error` outside both together.

    Student's interval, moved outward on the side of the longer tail by Johnson's g * s * (1 + 2 t²) / (6 P), with g the
    skewness; never inward. Each side reaches at least scale * z² / (P + z²): Wilson's bound after P problems of which
    none differed (`scales` as in `statistics.contrast_intervals`), since problems that all agree show no spread.
    """
    problems = len(contrasts)
    mean = contrasts.mean(axis=0)
    if problems < 2:
        return np.full_like(mean, -np.inf), np.full_like(mean, np.inf)
    deviations = contrasts - mean
    spread = np.sqrt((deviations**2).sum(axis=0) / (problems - 1))
    third = (deviations**3).mean(axis=0)
    t, z2 = student_quantile(problems - 1, error), normal_quantile(error) ** 2
    least = z2 / (problems + z2) * np.asarray(scales)
    skewness = np.divide(third, spread**3, out=np.zeros_like(mean), where=spread > 1e-12)
    outward = skewness * spread * (1 + 2 * t * t) / (6 * problems)
    half = t * spread / math.sqrt(problems)
    low = np.minimum(mean - half + np.minimum(outward, 0), mean - least)
    return low, np.maximum(mean + half + np.maximum(outward, 0), mean + least)


def intervals(contrasts: Array, scales: Sequence[float], error: float) -> list[Interval]:
    """The mean of each column of `contrasts` [P, M] with its `bounds`, one Interval a column."""
    low, high = bounds(contrasts, scales, error)
    return [Interval(float(m), float(a), float(b)) for m, a, b in zip(contrasts.mean(axis=0), low, high, strict=True)]
