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
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from eval.numbers.statistics import ERROR, Array, Interval, normal_quantile, student_quantile

Spread = tuple[ArrayLike, ArrayLike, ArrayLike]  # standard deviation between problems, skewness, scale

RUN_ERROR = ERROR  # of all sweeps of one run together, and of a sweep that is judged alone
LAST_ERROR = 0.025  # of the last sweep; the sweeps before it share as much


def sweep_error(step: int, every_steps: int, max_steps: int) -> float:
    """The error share of the sweep after `step` in a run that sweeps every `every_steps` and after `max_steps`.

    It depends on the plan and the step alone, so a resumed run gives every sweep the share that it would have had.
    """
    before_last = (max_steps - 1) // every_steps
    if before_last == 0:
        return RUN_ERROR
    return LAST_ERROR if step >= max_steps else (RUN_ERROR - LAST_ERROR) / before_last


@dataclass(frozen=True)
class Contrast(Interval):
    """The interval of one contrast, and what decides its width: spread between problems, skewness and `scale`."""

    deviation: float
    skewness: float
    scale: float


def reach(spread: Spread, problems: int, error: float) -> tuple[Array, Array]:
    """How far the lower and the upper bound of a mean over `problems` lie from it, with `error` outside both together.

    Student's interval, moved outward on the side of the longer tail by Johnson's g * s * (1 + 2 t²) / (6 P), with g the
    skewness; never inward. Each side reaches at least scale * z² / (P + z²): Wilson's bound after P problems of which
    none differed (`scale` as in `statistics.contrast_intervals`), since problems that all agree show no spread.
    """
    deviation, skewness, scale = (np.asarray(part, dtype=np.float64) for part in spread)
    t, z2 = student_quantile(problems - 1, error), normal_quantile(error) ** 2
    half = t * deviation / math.sqrt(problems)
    outward = skewness * deviation * (1 + 2 * t * t) / (6 * problems)
    least = z2 / (problems + z2) * scale
    return np.maximum(half - np.minimum(outward, 0), least), np.maximum(half + np.maximum(outward, 0), least)


def spread_of(contrasts: Array, scales: Sequence[float]) -> tuple[Array, Array, Array]:
    """Standard deviation, skewness and scale, [M] each, of the columns of `contrasts` [P, M], P at least 2."""
    deviations = contrasts - contrasts.mean(axis=0)
    deviation = np.sqrt((deviations**2).sum(axis=0) / (len(contrasts) - 1))
    third = (deviations**3).mean(axis=0)
    skewness = np.divide(third, deviation**3, out=np.zeros_like(third), where=deviation > 1e-12)
    return deviation, skewness, np.asarray(scales, dtype=np.float64)


def bounds(contrasts: Array, scales: Sequence[float], error: float) -> tuple[Array, Array]:
    """Lower and upper bound [M] of the mean of each column of `contrasts` [P, M], with `error` outside both together.

    `reach` says how; infinite for one problem.
    """
    mean = contrasts.mean(axis=0)
    if len(contrasts) < 2:
        return np.full_like(mean, -np.inf), np.full_like(mean, np.inf)
    below, above = reach(spread_of(contrasts, scales), len(contrasts), error)
    return mean - below, mean + above


def intervals(contrasts: Array, scales: Sequence[float], error: float) -> list[Contrast]:
    """The mean of each column of `contrasts` [P, M], P at least 2, with its `bounds`, one Contrast a column."""
    columns = (contrasts.mean(axis=0), *bounds(contrasts, scales, error), *spread_of(contrasts, scales))
    return [Contrast(*map(float, numbers)) for numbers in zip(*columns, strict=True)]
