"""Several trainings of one recipe on the same problems: intervals that hold for other problems and other seeds.

Problems and trainings are both samples, crossed: every training answers every problem. s_P² / P (between problems, of
their means over the seeds) and s_S² / S (between trainings, of their means over the problems) estimate the variance of
the overall mean. Their sum counts the interaction of problem and training twice, which can only widen the interval. The
sum's degrees of freedom are Satterthwaite's (1946).

Three trainings say little about s_S, and if they happen to be similar, an interval would be far too narrow: with 14
recipes at 95 % together, one of them would miss in up to a quarter of studies. So s_S is also estimated from all
recipes of a study together (`Pooled`), and the wider of the two intervals is used; docs/study.md has the measurements.

A single training says nothing about others: the interval is that of `contrasts`, for this training alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eval.numbers.contrasts import reach, spread
from eval.numbers.fractions import ends
from eval.numbers.pairs import least_error
from eval.numbers.statistics import ERROR, Array, Interval, student_quantile

LEAST_SHARE = 1e-6  # a denominator whose lower bound is below this is not shown to be above 0


@dataclass(frozen=True)
class Pooled:
    """The variance between trainings of one recipe, estimated from all recipes of a study; its degrees of freedom."""

    variance: float
    degrees: float

    def of_differences(self) -> Pooled:
        """The same for the difference of two recipes' trainings."""
        return Pooled(2 * self.variance, self.degrees)


def pooled(recipes: Sequence[Array]) -> Pooled | None:
    """From the results of each recipe's trainings, [seeds, problems]; None if every recipe was trained once."""
    several = [values for values in recipes if len(values) > 1]
    if not several:
        return None
    degrees = [len(values) - 1 for values in several]
    variances = [float(np.var(values.mean(axis=1), ddof=1)) for values in several]
    return Pooled(float(np.average(variances, weights=degrees)), float(sum(degrees)))


def seeds_interval(values: Array, scale: float, error: float, of_all: Pooled | None = None) -> Interval:
    """The mean of `values` [seeds, problems], at least two problems, with its interval that misses with probability
    `error`. scale: as in `contrasts.Contrast`."""
    below, above = seeds_reach(values, scale, error, of_all)
    mean = float(values.mean())
    return Interval(mean, mean - below, mean + above)


def seeds_reach(values: Array, scale: float, error: float, of_all: Pooled | None = None) -> tuple[float, float]:
    """How far below and above the mean of `values` [seeds, problems] its interval reaches: over problems and trainings,
    moved outward for the skewness between problems and never less than Wilson's bound, as in `contrasts.reach`."""
    seeds, problems = values.shape
    deviation, skewness = spread(values.mean(axis=0))
    below, above = (float(side) for side in reach(deviation, skewness, scale, problems, error))
    if seeds < 2:
        return below, above
    t = student_quantile(problems - 1, error)
    outward = float(skewness * deviation) * (1 + 2 * t * t) / (6 * problems)
    own = Pooled(float(np.var(values.mean(axis=1), ddof=1)), seeds - 1.0)
    of_problems = float(deviation) ** 2 / problems
    half = max(_half(of_problems, problems - 1, each, seeds, error) for each in (own, of_all or own))
    return max(below, half - min(outward, 0.0)), max(above, half + max(outward, 0.0))


def _half(of_problems: float, degrees: int, between: Pooled, seeds: int, error: float) -> float:
    """Student's half width for both variances of a mean together; `of_problems` with its degrees of freedom."""
    of_seeds = between.variance / seeds
    both = of_problems + of_seeds
    if both <= 0:
        return 0.0
    joint = both**2 / (of_problems**2 / degrees + of_seeds**2 / between.degrees)
    return float(student_quantile(joint, error) * both**0.5)


def seeds_p_value(values: Array, scale: float, of_all: Pooled | None = None) -> float:
    """The error at which the interval of the mean of `values` [seeds, problems] just reaches 0."""
    mean = float(values.mean())

    def excludes(error: float) -> bool:
        below, above = seeds_reach(values, scale, error, of_all)
        return mean > below or mean < -above

    return least_error(excludes)


def seeds_share(
    numerator: Array, denominator: Array, scale: float, error: float, of_all: Pooled | None = None
) -> Interval | None:
    """mean(numerator) / mean(denominator), both [seeds, problems] and paired, by Fieller's construction on
    `seeds_interval`, as `fractions.ratio_intervals`; None if the denominator is not shown to be above 0 with 95 %.

    of_all: of the numerator; the denominator is of models that were not trained.
    """
    if seeds_interval(denominator, scale, ERROR).low <= LEAST_SHARE:
        return None
    ratio = float(numerator.mean() / denominator.mean())

    def end(sign: int) -> float:
        def is_beyond(at: Array) -> np.ndarray:
            found = seeds_interval(numerator - float(at[0]) * denominator, scale, error, of_all)
            return np.array([found.high < 0 if sign > 0 else found.low > 0])

        return float(ends(np.array([ratio]), sign, is_beyond)[0])

    return Interval(ratio, end(-1), end(1))
