"""How often the 95 % intervals hold the truth, and what the verdict says (`tests.bench.verdicts`).

`python -m tests.bench.coverage [repetitions]`; `python -m tests.bench.coverage verdicts` prints the verdicts alone.

Simulated sweeps whose truth is known, 30, 100 and 500 problems; one line per number of thoughts per problem and their
likeness, one column per truth. Likeness is the correlation of two thoughts on one problem. Accuracies and pass@2 are
beta-binomial. For gains, differences and recovered fractions a thought has luck in [0, 1] and is right at every budget
whose accuracy is above it; the luck is the problem's own (for all models and thoughts) with chance sqrt(likeness).

With R repetitions a figure has a standard error of sqrt(0.95 * 0.05 / R): 0.003 for the default of 4,000.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import numpy as np

from eval.numbers.contrasts import bounds
from eval.numbers.fractions import ratio_intervals
from eval.numbers.gains import gain_per_doubling, slope_scale
from eval.numbers.parallel import pass_at_k
from eval.numbers.statistics import ERROR, Array, Interval, accuracy_interval
from tests.bench.verdicts import tables

REPETITIONS = 4000
VERDICTS = 200  # sweeps per cell of the table of verdicts
PROBLEMS = (30, 100, 500)
THOUGHTS = ((1, 0.0), (4, 0.0), (4, 0.1), (4, 0.5), (4, 0.9), (16, 0.5))  # per problem, and their likeness
BUDGETS = (8, 16, 32, 64, 128)
ACCURACIES = {f"{p:g}": p for p in (0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95)}
CURVES = {
    "rises": (0.1, 0.3, 0.55, 0.85, 0.95),
    "flat .5": (0.5, 0.5, 0.5, 0.5, 0.5),
    "high": (0.88, 0.9, 0.92, 0.94, 0.95),
    "low": (0.05, 0.05, 0.06, 0.07, 0.08),
}
PAIRS = {".95 .22": (0.95, 0.22), ".6 .5": (0.6, 0.5), ".95 .9": (0.95, 0.9), ".08 .05": (0.08, 0.05)}
TRIPLES = {  # run, unpruned, pruned
    ".6 .9 .2": (0.6, 0.9, 0.2),
    ".92 .95 .1": (0.92, 0.95, 0.1),
    ".25 .95 .2": (0.25, 0.95, 0.2),
    ".95 .9 .5": (0.95, 0.9, 0.5),
}
World = tuple[int, int, float]  # problems, thoughts per problem, likeness


def beta_binomial(world: World, accuracy: float, repetitions: int) -> Array:
    """Correct thoughts by repetition and problem, [repetitions, problems]."""
    problems, samples, likeness = world
    generator = np.random.default_rng(round(1000 * accuracy))
    chances = np.full((repetitions, problems), accuracy)
    if likeness:
        both = (1 - likeness) / likeness
        chances = generator.beta(accuracy * both, (1 - accuracy) * both, chances.shape)
    return generator.binomial(samples, chances)


def by_luck(world: World, models: tuple[tuple[float, ...], ...], repetitions: int) -> list[Array]:
    """Means [problems, repetitions, budgets] of each of `models` (its accuracies by budget)."""
    problems, samples, likeness = world
    generator = np.random.default_rng(7)
    own = generator.random((problems, repetitions))
    means = [np.zeros((problems, repetitions, len(accuracies))) for accuracies in models]
    for total, accuracies in zip(means, models, strict=True):
        for _ in range(samples):
            fresh = generator.random(own.shape)
            luck = np.where(generator.random(own.shape) < math.sqrt(likeness), own, fresh)
            total += (luck[..., None] < np.array(accuracies)) / samples
    return means


def held(intervals: list[Interval], truth: float) -> float:
    """Share of the intervals that hold the truth."""
    return float(np.mean([one.low - 1e-9 <= truth <= one.high + 1e-9 for one in intervals]))


def _in_unit(values: Array, truth: float) -> float:
    return held([Interval(float(row.mean()), *accuracy_interval(row)) for row in values], truth)


def of_accuracy(world: World, accuracy: float, repetitions: int) -> float:
    """Coverage of an accuracy's interval."""
    return _in_unit(beta_binomial(world, accuracy, repetitions) / world[1], accuracy)


def of_pass_at_2(world: World, accuracy: float, repetitions: int) -> float:
    """Coverage of the interval of pass@2; nan for one thought per problem."""
    _, samples, likeness = world
    if samples < 2:
        return math.nan
    wrong_twice = (1 - accuracy) * (1 - accuracy + accuracy * likeness)
    values = pass_at_k(range(samples + 1), samples, 2)[beta_binomial(world, accuracy, repetitions)]
    return _in_unit(values, 1 - wrong_twice)


def of_gain(world: World, curve: tuple[float, ...], repetitions: int) -> float:
    """Coverage of a gain's interval."""
    gains = gain_per_doubling(by_luck(world, (curve,), repetitions)[0], BUDGETS)
    return _covered(gains, slope_scale(BUDGETS), float(gain_per_doubling(np.array(curve), BUDGETS)))


def of_difference(world: World, pair: tuple[float, float], repetitions: int) -> float:
    """Coverage of the interval of a paired difference of two accuracies."""
    first, second = by_luck(world, tuple((accuracy,) for accuracy in pair), repetitions)
    return _covered((first - second)[..., 0], 1.0, pair[0] - pair[1])


def _covered(contrasts: Array, scale: float, truth: float) -> float:
    """Coverage of the intervals of `contrasts` [problems, repetitions]."""
    low, high = bounds(contrasts, scale, ERROR)
    return float(np.mean((low - 1e-9 <= truth) & (truth <= high + 1e-9)))


def of_fraction(world: World, triple: tuple[float, float, float], repetitions: int) -> float:
    """Coverage of a recovered fraction's interval where the gap is shown; nan where it is in under four of five."""
    run, unpruned, pruned = (
        one[..., 0] for one in by_luck(world, tuple((accuracy,) for accuracy in triple), repetitions)
    )
    intervals = ratio_intervals(run - pruned, unpruned - pruned)
    shown = [interval for interval in intervals if interval is not None]
    truth = (triple[0] - triple[2]) / (triple[1] - triple[2])
    return held(shown, truth) if len(shown) >= 0.8 * repetitions else math.nan


KINDS: dict[str, tuple[Callable[..., float], dict]] = {
    "accuracy": (of_accuracy, ACCURACIES),
    "pass@2": (of_pass_at_2, ACCURACIES),
    "gain per doubling": (of_gain, CURVES),
    "paired difference": (of_difference, PAIRS),
    "recovered fraction": (of_fraction, TRIPLES),
}


def main(repetitions: int) -> None:
    """Prints one table per kind of interval."""
    for kind, (coverage, truths) in KINDS.items():
        print(f"\n{kind}\nproblems  thoughts  likeness  " + "  ".join(f"{name:>10}" for name in truths))
        for problems in PROBLEMS:
            for samples, likeness in THOUGHTS:
                cells = [coverage((problems, samples, likeness), truth, repetitions) for truth in truths.values()]
                shown = "  ".join(f"{'-' if math.isnan(cell) else f'{cell:.3f}':>10}" for cell in cells)
                print(f"{problems:8}  {samples:8}  {likeness:8}  {shown}", flush=True)


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:] if argument.isdigit()]
    if "verdicts" not in sys.argv:
        main(numbers[0] if numbers else REPETITIONS)
    tables(numbers[0] if "verdicts" in sys.argv and numbers else VERDICTS)
