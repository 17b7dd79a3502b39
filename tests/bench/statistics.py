"""The cost of the paired bootstrap by problem: `python -m tests.bench.statistics`.

1,000 problems x 10 budgets x 8 samples, 10,000 resamples; the same resampled means by several roads, run in turns,
medians of the rounds:
  chainmend  `eval.numbers.statistics.bootstrap`: counts of the drawn problems times the means by problem, in blocks
  loop       a plain numpy loop: for each resample the drawn problems are taken and averaged (the rival)
  samples    the same loop over single samples, not means by problem (what a first try looks like)
  scipy      `scipy.stats.bootstrap`, vectorised, in batches (where scipy is installed)
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from eval.numbers.statistics import SEED, Array, bootstrap

ROUNDS = 5
SHAPE = (1000, 10, 8)  # problems, budgets, samples
RESAMPLES = 10_000
SLOW_SHARE = 0.05  # of the resamples that the loop over samples does; its seconds are scaled up


def by_loop(values: Array, resamples: int, seed: int) -> Array:
    """Resampled means [R, K] of `values` [P, K] or [P, K, S], one resample at a time."""
    generator = np.random.default_rng(seed)
    over = (0, 2) if values.ndim == 3 else (0,)
    return np.stack([values[generator.integers(0, len(values), len(values))].mean(axis=over) for _ in range(resamples)])


def by_scipy() -> Callable[[Array], Array] | None:
    """scipy's bootstrap of means by problem, [R, K]; None where scipy is not installed."""
    try:
        from scipy.stats import bootstrap as scipy_bootstrap
    except ImportError:
        return None

    def resampled(means: Array) -> Array:
        found = scipy_bootstrap(
            (means,), np.mean, n_resamples=RESAMPLES, batch=100, method="percentile", rng=np.random.default_rng(SEED)
        )
        return found.bootstrap_distribution.T

    return resampled


def main() -> None:
    """Prints seconds, ratios to chainmend, and the standard error at the largest budget by each road."""
    values = (np.random.default_rng(0).random(SHAPE) < np.linspace(0.2, 0.8, SHAPE[1])[:, None]).astype(float)
    ways: dict[str, tuple[float, Callable[[], Array]]] = {
        "chainmend": (1.0, lambda: bootstrap(values, RESAMPLES, SEED)),
        "loop": (1.0, lambda: by_loop(values.mean(axis=2), RESAMPLES, SEED)),
        "samples": (SLOW_SHARE, lambda: by_loop(values, int(RESAMPLES * SLOW_SHARE), SEED)),
    }
    scipy = by_scipy()
    if scipy:
        ways["scipy"] = (1.0, lambda: scipy(values.mean(axis=2)))
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    errors: dict[str, float] = {}
    for measured in range(-1, ROUNDS):
        for name, (share, way) in ways.items():
            began = time.process_time()
            found = way()
            if measured >= 0:
                seconds[name].append((time.process_time() - began) / share)
            errors[name] = float(found[:, -1].std())
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    print("x".join(map(str, SHAPE)) + f" values, {RESAMPLES:,} resamples, CPU seconds (medians of {ROUNDS} rounds)")
    for name, median in medians.items():
        ratio = median / medians["chainmend"]
        print(f"{name:>10} {median:8.3f} s  {ratio:7.1f} x chainmend  standard error {errors[name]:.5f}")
    if not scipy:
        print("     scipy  not installed, left out")


if __name__ == "__main__":
    main()
