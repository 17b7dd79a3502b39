"""Numbers with error bars from graded sweeps: pure functions on numpy arrays, clustered by problem.

The problem is the unit that is sampled: two thoughts on one problem are not two pieces of evidence. So every function
takes means by problem, `[P]` or `[P, K]` (K budgets), and resamples problems, never single thoughts; a problem with a
missing thought counts by the mean of those it has. Intervals have 95 %. Randomness comes from a Generator of its own
seed; the global random state is neither read nor changed.

Three roads to an interval, each where it is right:
- accuracies: Wilson's interval on the effective sample size, which keeps a width at 0 and 1 (a bootstrap has none);
- paired contrasts (gains, differences between models): bootstrap percentiles, widened for few problems;
- recovered fractions, which are ratios: Fieller's interval, which is bounded exactly where the gap is shown.

`python -m tests.bench.coverage` prints how often each holds the truth, by simulation; the docstrings say what it found.

A budget of 0 is "thinking off", a control: its column has an accuracy as every other, and no part in any gain.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

ERROR = 0.05  # that a 95 % interval misses
SEED = 20  # of the bootstraps behind reported numbers: the same sweep always has the same intervals
NEAR = 8  # a contrast of 1 / NEAR of its scale is no agreement any more
BLOCK_DRAWS = 2_000_000  # draws held at once, so that memory does not grow with the number of resamples


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % interval, in the unit of the estimate."""

    estimate: float
    low: float
    high: float


def normal_quantile(error: float) -> float:
    """The standard normal quantile with `error` outside, both sides together: 1.96 for 0.05."""
    return -NormalDist().inv_cdf(error / 2)


Z95 = normal_quantile(ERROR)


def student_quantile(degrees: float, error: float = ERROR) -> float:
    """Student's quantile with `error` outside, both sides together; infinite below one degree of freedom.

    By Wallace's transformation (1959, Bounds on normal approximations to Student's and the chi-square distributions),
    turned round. From 9 degrees of freedom within 0.6 % at errors of 0.05 … 2e-4; with fewer it is too wide, never too
    narrow (4 % at 2 degrees).
    """
    if degrees < 1:
        return math.inf
    z = normal_quantile(error) * (8 * degrees + 3) / (8 * degrees + 1)
    return math.sqrt(degrees * math.expm1(z * z / degrees))


def wilson(share: float, number: float, z: float) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share seen among `number` independent trials, `z` standard errors wide."""
    centre = (share + z**2 / (2 * number)) / (1 + z**2 / number)
    half = z / (1 + z**2 / number) * math.sqrt(share * (1 - share) / number + z**2 / (4 * number**2))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def variance_degrees(values: Array) -> float:
    """Degrees of freedom of the variance between `values` [P], at most P - 1.

    Satterthwaite (1946): a variance known with relative variance v has 2 / v of them. Few problems that differ from all
    others tell less of the variance than many that all differ a little.
    """
    squares = (values - values.mean()) ** 2
    total = float(squares.sum())
    concentration = float((squares**2).sum()) / total**2 - 1 / len(values) if total > 1e-12 else 0.0
    return min(len(values) - 1.0, 2 / concentration) if concentration > 0 else len(values) - 1.0


def stretch(values: Array) -> float:
    """How much wider the interval of the mean of `values` [P > 1] is for its `variance_degrees` than for P - 1."""
    return student_quantile(variance_degrees(values)) / student_quantile(len(values) - 1)


def accuracy_interval(means: Array) -> tuple[float, float]:
    """95 % interval of the mean of `means` [P], one number in [0, 1] a problem: its share of correct thoughts.

    Wilson's interval with the effective sample size in place of n and Student's quantile in place of z (Korn and
    Graubard 1998): thoughts on one problem are alike, and P of them, all alike on each problem, are the least it can
    be. Two corrections where few problems differ from 0 (or from 1), since these few then tell all that is known of how
    alike thoughts are: the quantile has the degrees of freedom of the variance itself, and the ratio of the variance
    to its greatest possible value is shrunk to 1 as ratio ** (k / (k + 0.5)), k problems above 0 (or below 1). Never
    wider than with P alike thoughts, never of zero width; [0, 1] for one problem.

    Measured with true accuracies of .05 … .95, 1 … 16 thoughts a problem, likeness of thoughts 0 … .9:
    30 problems .94 … .98, 100 and 500 .935 … .975. What lies above .97 is few problems at .05 … .1 (or .9 … .95) and
    single thoughts at 30 problems, where counts are so discrete that only .94 or .98 can be had. No method that sees
    means alone helps where the evidence is unseen: 30 problems with 64 thoughts each of likeness .7 have .925 at .05,
    and less below .05.
    """
    problems, p = len(means), float(np.mean(means))
    if problems < 2:
        return 0.0, 1.0
    low, high = wilson(p, problems, student_quantile(problems - 1))
    variance = float(np.var(means, ddof=1))
    if variance < 1e-12:
        return low, high
    differing = min(int((means > 0).sum()), int((means < 1).sum()))
    ratio = min(1.0, variance / (p * (1 - p))) ** (differing / (differing + 0.5))
    narrow_low, narrow_high = wilson(p, problems / ratio, student_quantile(variance_degrees(means)))
    return max(low, narrow_low), min(high, narrow_high)


def _weight_blocks(problems: int, resamples: int, seed: int) -> Iterator[Array]:
    generator = np.random.default_rng(seed)
    rows = max(1, BLOCK_DRAWS // problems)
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        draws = generator.integers(0, problems, size=(count, problems))
        draws += np.arange(count)[:, None] * problems
        yield np.bincount(draws.ravel(), minlength=count * problems).reshape(count, problems).astype(np.float64)


def bootstrap_weights(problems: int, resamples: int, seed: int) -> Array:
    """How often each problem is drawn in each resample, [R, P]; each row sums to P (multinomial, equal chances)."""
    return np.concatenate(list(_weight_blocks(problems, resamples, seed)))


def bootstrap(values: Array, resamples: int, seed: int) -> Array:
    """Resampled means [R, M] of `values` [P, M], or [R, K] of [P, K, S] (averaged over the S samples first).

    The same problems are drawn for every column, so columns of several models are paired. One matrix product a block;
    the weights (those of `bootstrap_weights`) are never all in memory.
    """
    table = values.mean(axis=2) if values.ndim == 3 else values
    return np.concatenate([weights @ table for weights in _weight_blocks(len(table), resamples, seed)]) / len(table)


def percentile_share(problems: int) -> float:
    """The lower tail share whose bootstrap percentile is a 95 % bound: 0.025 for many problems, less for few.

    Hesterberg 2015 (arXiv 1411.5279, section 5): bootstrap percentiles are too narrow by sqrt((n-1)/n) and by z against
    t.
    """
    if problems < 2:
        return 0.0
    reach = student_quantile(problems - 1) * math.sqrt(problems / (problems - 1))
    return 0.5 * math.erfc(reach / math.sqrt(2))


def agreeing(contrasts: Array, scales: ArrayLike) -> Array:
    """The share [M] of the problems in each column of `contrasts` [P, M] that agree with the column's median.

    One that differs counts less the farther it lies, and nothing from an eighth of its scale on: many thoughts on a
    problem differ by a little where models are equal, and yet say nothing of the rare problem that differs wholly.
    """
    distances = np.abs(contrasts - np.median(contrasts, axis=0)) / np.maximum(scales, 1e-12)
    return np.maximum(0.0, 1 - NEAR * distances).mean(axis=0)


def contrast_intervals(contrasts: Array, scales: Sequence[float], resamples: int, seed: int) -> list[Interval]:
    """The mean of each column of `contrasts` [P, M] with its paired bootstrap interval, one Interval a column.

    `scales` [M]: the most that one model's share in one problem's contrast can be (1 for accuracy, `slope_scale` for a
    gain). A bootstrap knows nothing of what few problems showed: it is stretched where few make the variance, and as P
    problems without one disagreement would have an interval of zero width, each side reaches at least
    scale * z² / (P + z²), Wilson's bound after P problems of which none differed, times the share that do agree.

    Measured (30, 100 and 500 problems): .93 … .98 wherever a tenth of the problems or more show a difference; with
    less, and with 16 thoughts or more on each of 30 problems, the last rule makes it up to 1.0 (the bootstrap by itself
    has .42 … .9 where few problems differ, having seen too little).
    """
    problems = len(contrasts)
    share = percentile_share(problems)
    lows, highs = np.quantile(bootstrap(contrasts, resamples, seed), [share, 1 - share], axis=0)
    means = contrasts.mean(axis=0)
    least = Z95**2 / (problems + Z95**2) * agreeing(contrasts, scales) * np.asarray(scales)
    factors = np.array([stretch(column) for column in contrasts.T])
    lows = np.minimum(means - (means - lows) * factors, means - least)
    highs = np.maximum(means + (highs - means) * factors, means + least)
    return [Interval(float(m), float(low), float(high)) for m, low, high in zip(means, lows, highs, strict=True)]


def thinking_columns(budgets: Sequence[int]) -> list[int]:
    """The columns whose budget lets the model think: all but that of budget 0."""
    return [column for column, budget in enumerate(budgets) if budget > 0]


def slope_weights(budgets: Sequence[int]) -> Array:
    """Weights [K] whose product with accuracies [K] is their least-squares slope on log2(budget).

    A budget of 0 has weight 0. All nan for fewer than two budgets above 0: no slope is defined.
    """
    columns = thinking_columns(budgets)
    weights = np.full(len(budgets), np.nan)
    if len(columns) > 1:
        x = np.log2(np.asarray(budgets, dtype=np.float64)[columns])
        weights[:] = 0.0
        weights[columns] = (x - x.mean()) / float(np.sum((x - x.mean()) ** 2))
    return weights


def slope_scale(budgets: Sequence[int]) -> float:
    """The steepest gain per doubling that one problem can show: wrong at the small budgets, right at the large ones."""
    weights = slope_weights(budgets)
    return float(weights[weights > 0].sum())


def gain_per_doubling(accuracy: Array, budgets: Sequence[int]) -> Array:
    """Least-squares slope of `accuracy` [..., K] on log2(budget), [...], in accuracy a doubling.

    Of the budgets above 0; nan where these are fewer than two.
    """
    return np.asarray(accuracy @ slope_weights(budgets), dtype=np.float64)


def gain_interval(means: Array, budgets: Sequence[int], resamples: int) -> Interval | None:
    """Gain per doubling of one model's `means` [P, K] over the budgets above 0.

    None for fewer than two of them (no slope) or one problem (no interval).
    """
    if len(thinking_columns(budgets)) < 2 or len(means) < 2:
        return None
    return contrast_intervals(gain_per_doubling(means, budgets)[:, None], [slope_scale(budgets)], resamples, SEED)[0]


def level(accuracy: Array, budgets: Sequence[int]) -> float | None:
    """Accuracy at the smallest budget above 0, of `accuracy` [K]; None where there is none."""
    columns = thinking_columns(budgets)
    return float(accuracy[columns[0]]) if columns else None


def total_gain(accuracy: Array, budgets: Sequence[int]) -> float | None:
    """Accuracy at the largest budget minus at the smallest above 0, of `accuracy` [K]; None where they are one."""
    columns = thinking_columns(budgets)
    return float(accuracy[columns[-1]] - accuracy[columns[0]]) if len(columns) > 1 else None


def fieller(numerator: Array, denominator: Array) -> Interval | None:
    """mean(numerator) / mean(denominator), both [P] and paired, with Fieller's 95 % interval (1954).

    None where the denominator's own interval covers 0: the ratio is then not defined, nor is its interval bounded.
    It is widened as that of `contrast_intervals`, by how the problems agree with the ratio. Measured where the gap is
    shown in four of five repetitions: .94 … .98, and up to 1.0 where all that the run lacks lies in few problems, which
    30 of them may not show at all.
    """
    problems = len(numerator)
    if problems < 2:
        return None
    n, d = float(numerator.mean()), float(denominator.mean())
    (vn, cov), (_, vd) = np.cov(numerator, denominator) / problems * student_quantile(problems - 1) ** 2
    a, b, c = d * d - vd, n * d - cov, n * n - vn
    if a <= 1e-12:
        return None
    root = math.sqrt(max(0.0, b * b - a * c))
    ratio, rest = n / d, numerator - n / d * denominator
    factor = stretch(rest)
    least = Z95**2 / (problems + Z95**2) * float(agreeing(rest[:, None], 1.0)[0]) / abs(d)
    below, above = (ratio - (b - root) / a) * factor, ((b + root) / a - ratio) * factor
    return Interval(ratio, ratio - max(below, least), ratio + max(above, least))


def recovered_fraction(run: Array, unpruned: Array, pruned: Array) -> list[Interval | None]:
    """(run - pruned) / (unpruned - pruned) at each budget, with its paired interval; all three are [P, K] by the same
    problems.

    None where the gap between unpruned and pruned is not shown (its interval covers 0).
    """
    return [fieller(run[:, k] - pruned[:, k], unpruned[:, k] - pruned[:, k]) for k in range(run.shape[1])]
