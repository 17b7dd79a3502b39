"""Numbers with error bars from graded sweeps: pure functions on numpy arrays, clustered by problem.

The problem is the unit that is sampled: two thoughts on one problem are not two pieces of evidence. So every function
takes means by problem, `[P]` or `[P, K]` (K budgets), and resamples problems, never single thoughts. Intervals have
95 %. Randomness comes from a Generator of its own seed; the global random state is neither read nor changed.

Three roads to an interval, each where it is right:
- accuracies: Wilson's interval on the effective sample size, which keeps a width at 0 and 1 (a bootstrap has none);
- paired contrasts (gains, differences between models): bootstrap percentiles, widened for few problems;
- recovered fractions, which are ratios: Fieller's interval, which is bounded exactly where the gap is shown.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recipes.errors import UserError

Array = NDArray[np.float64]

Z95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution
SEED = 20  # of the bootstraps behind reported numbers: the same sweep always has the same intervals
BLOCK_DRAWS = 2_000_000  # draws held at once, so that memory does not grow with the number of resamples


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % interval, in the unit of the estimate."""

    estimate: float
    low: float
    high: float


def student_quantile(degrees: int) -> float:
    """The 97.5 % quantile of Student's t with so many degrees of freedom (exact for 1 and 2).

    Above 2 the Cornish-Fisher expansion about the normal quantile (Abramowitz and Stegun 26.7.5), within 0.5 %.
    """
    if degrees <= 2:
        return (math.inf, 12.706204736, 4.302652730)[max(degrees, 0)]
    z, n = Z95, float(degrees)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / n ** (power + 1) for power, term in enumerate(terms))


def accuracy_interval(means: Array) -> tuple[float, float]:
    """95 % interval of the mean of `means` [P], each problem's share of correct thoughts in [0, 1].

    Wilson's score interval (1927) with the effective sample size in place of n: n_eff = p(1 - p) / (s² / P), the number
    of independent thoughts that would have the standard error that the spread between problems shows; its quantile is
    Student's for P - 1 degrees of freedom (Korn and Graubard 1998), since s² is itself an estimate. One thought a
    problem, or no spread at all, is the plain Wilson interval with n = P. Never of zero width.
    """
    problems, p = len(means), float(np.mean(means))
    variance = float(np.var(means, ddof=1)) if problems > 1 else 0.0
    single_thoughts = bool(np.all((means == 0) | (means == 1)))
    if single_thoughts or variance < 1e-12:
        n, z = float(problems), Z95
    else:
        n, z = p * (1 - p) / (variance / problems), student_quantile(problems - 1)
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half))


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


def contrast_intervals(contrasts: Array, scales: Sequence[float], resamples: int, seed: int) -> list[Interval]:
    """The mean of each column of `contrasts` [P, M] with its paired bootstrap interval, one Interval a column.

    `scales` [M]: the most that one model's share in one problem's contrast can be (1 for accuracy, `slope_scale` for a
    gain). A bootstrap knows nothing of what no problem showed: P problems without one disagreement would have an
    interval of zero width. So each side reaches at least scale * z² / (P + z²), Wilson's bound after P problems of
    which none differed.
    """
    problems = len(contrasts)
    share = percentile_share(problems)
    lows, highs = np.quantile(bootstrap(contrasts, resamples, seed), [share, 1 - share], axis=0)
    least = Z95**2 / (problems + Z95**2)
    return [
        Interval(float(mean), float(min(low, mean - least * scale)), float(max(high, mean + least * scale)))
        for mean, low, high, scale in zip(contrasts.mean(axis=0), lows, highs, scales, strict=True)
    ]


def slope_weights(budgets: Sequence[int]) -> Array:
    """Weights [K] whose product with accuracies is their least-squares slope on log2(budget); nan for one budget."""
    x = np.log2(np.asarray(budgets, dtype=np.float64))
    centred = x - x.mean()
    spread = float(centred @ centred)
    return centred / spread if spread > 0 else np.full(len(x), np.nan)


def slope_scale(budgets: Sequence[int]) -> float:
    """The steepest gain per doubling that one problem can show: wrong at the small budgets, right at the large ones."""
    weights = slope_weights(budgets)
    return float(weights[weights > 0].sum())


def gain_per_doubling(accuracy: Array, budgets: Sequence[int]) -> Array:
    """Least-squares slope of `accuracy` [..., K] on log2(budget), [...], in accuracy a doubling; nan where K is 1."""
    return np.asarray(accuracy @ slope_weights(budgets), dtype=np.float64)


def gain_interval(means: Array, budgets: Sequence[int], resamples: int) -> Interval | None:
    """Gain per doubling of one model's `means` [P, K]; None for one budget (no slope) or one problem (no interval)."""
    if len(budgets) < 2 or len(means) < 2:
        return None
    return contrast_intervals(gain_per_doubling(means, budgets)[:, None], [slope_scale(budgets)], resamples, SEED)[0]


def total_gain(accuracy: Array) -> Array:
    """Accuracy at the largest budget minus at the smallest, [...] of [..., K]; nan where K is 1."""
    if accuracy.shape[-1] < 2:
        return np.full(accuracy.shape[:-1], np.nan)
    return np.asarray(accuracy[..., -1] - accuracy[..., 0], dtype=np.float64)


def pass_at_k(correct_counts: Sequence[int], n: int, k: int) -> Array:
    """Unbiased pass@k of each problem, [P]: 1 - C(n - c, k) / C(n, k) with c of n thoughts correct.

    As the product over i = n-c+1 … n of (1 - k/i), which does not overflow (arXiv 2107.03374, section 2.1).
    Raises UserError for k outside 1 … n, or a count outside 0 … n.
    """
    if not 1 <= k <= n:
        raise UserError(f"pass@{k} needs 1 <= k <= samples, got samples={n}; draw more samples or lower k")
    if any(not 0 <= c <= n for c in correct_counts):
        raise UserError(
            f"correct thoughts a problem must be 0 … {n}, got {min(correct_counts)} … {max(correct_counts)}"
        )
    return np.array(
        [1.0 if n - c < k else 1.0 - float(np.prod(1.0 - k / np.arange(n - c + 1, n + 1))) for c in correct_counts]
    )


def majority_at_n(answers: Sequence[str], correct: Sequence[bool]) -> float:
    """maj@n of one problem in [0, 1]: is the answer that most thoughts gave correct? Ties are split evenly.

    A thought without an answer (an empty string) does not vote; without any vote the score is 0.
    """
    votes = Counter(answer for answer in answers if answer)
    if not votes:
        return 0.0
    most = max(votes.values())
    leaders = {answer for answer, count in votes.items() if count == most}
    grades = [float(grade) for answer, grade in zip(answers, correct, strict=True) if answer in leaders]
    return sum(grades) / len(grades)


def fieller(numerator: Array, denominator: Array) -> Interval | None:
    """mean(numerator) / mean(denominator), both [P] and paired, with Fieller's 95 % interval (1954).

    None where the denominator's own interval covers 0: the ratio is then not defined, nor is its interval bounded.
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
    return Interval(n / d, (b - root) / a, (b + root) / a)


def recovered_fraction(run: Array, unpruned: Array, pruned: Array) -> list[Interval | None]:
    """(run - pruned) / (unpruned - pruned) at each budget, with its paired interval; all three are [P, K] by the same
    problems.

    None where the gap between unpruned and pruned is not shown (its interval covers 0).
    """
    return [fieller(run[:, k] - pruned[:, k], unpruned[:, k] - pruned[:, k]) for k in range(run.shape[1])]
