"""What a suite can decide, estimated before a run: half widths of both recovered shares, and the problems needed.

Nothing is measured yet, so two things are assumed. The curves are straight in log2(budget) between the ends in
`CURVES`, and the run has recovered fully: it is as good as the unpruned model. A thought on a problem is right if a
normal variable is below the quantile of the accuracy. Half of its variance belongs to the problem, a tenth to the model
on this problem, three tenths to the thought and a tenth to the budget; single thoughts then have the same spread of
slopes as in a recorded sweep of a 14B model (standard deviation .11). The contrasts of 4,000 such problems give the
standard deviations s between problems, from which, with P problems:

    half width of the level share   reach(s of run - unpruned at the largest budget, P) / (unpruned - pruned)
    half width of the gain share    reach(s of the gains' difference, P) / unpruned gain
    problems needed                 the number that shows every statement of RETURNED in four of five runs

with `reach` as in `eval.numbers.contrasts`. Other suites and models differ; the figures are for choosing sizes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from eval.numbers.contrasts import Contrast, reach, spread
from eval.numbers.gains import gain_per_doubling, slope_scale, thinking_columns
from eval.numbers.sequences import RUN_ERROR, sweep_error
from eval.numbers.statements import Statement
from eval.numbers.statistics import Array
from recipes.suites import SuiteSection
from recipes.sweep import SweepSection, VerdictSection

SIMULATED = 4000
VARIANCES = {"problem": 0.5, "model": 0.1, "thought": 0.3, "budget": 0.1}
CURVES = {
    "nano": ((0.20, 0.88), (0.15, 0.18)),
    "aime": ((0.50, 0.60), (0.09, 0.15)),
    "gpqa": ((0.45, 0.57), (0.33, 0.36)),
    "": ((0.875, 0.96), (0.75, 0.785)),
}
"""prefix of a suite's name -> accuracy of the unpruned and of the pruned model at the smallest and the largest budget;
published values of Qwen3-8B, whole and without two layers (arXiv 2510.22228), the last ones on MATH-500"""


@dataclass(frozen=True)
class Foresight:
    """What `problems` of `suite` with `samples` thoughts each can be expected to decide about a fully recovered run.

    level_half, gain_half: half widths of the recovered shares, which are then 1. needed: problems for RETURNED in four
    of five runs, None if no number up to a million is enough. loss, gain: the assumptions about the references.
    """

    suite: str
    problems: int
    samples: int
    level_half: float
    gain_half: float
    needed: int | None
    loss: float
    gain: float

    def __str__(self) -> str:
        widths = f"level share 1 ± {self.level_half:.2f}, gain share 1 ± {self.gain_half:.2f}"
        if self.needed is None:
            enough = "no number of problems would show RETURNED"
        else:
            enough = f"RETURNED in four of five runs needs about {self.needed:,} problems"
            enough += (
                " (enough)" if self.needed <= self.problems else ": TOO FEW, take more problems, samples or budgets"
            )
        return (
            f"{self.suite}, {self.problems} problems x {self.samples}: a fully recovered run has {widths}; {enough}. "
            f"Assumed: a loss of {self.loss:.2f}, an unpruned gain of {self.gain:.3f} per doubling"
        )


def foresee(section: SweepSection, problems: Mapping[str, int], steps: int) -> Foresight | None:
    """What the deciding suite can be expected to decide at the last sweep of a run of `steps`; `problems` by suite.

    None if the number of problems is unknown, or fewer than two problems or budgets above 0 allow no verdict.
    """
    deciding = section.deciding_suite
    error = sweep_error(steps, section.every_steps, steps)
    return _foresee(section, deciding, problems.get(deciding.name, 0), error)


def foresee_confirmed(section: SweepSection) -> Foresight | None:
    """The same for the problems of `sweep.confirm`, which are evaluated once; None without them."""
    if section.confirm is None:
        return None
    source = section.confirm.suite or section.deciding_suite
    return _foresee(section, source, section.confirm.problems, RUN_ERROR)


def _foresee(section: SweepSection, suite: SuiteSection, count: int, error: float) -> Foresight | None:
    """What `count` problems of `suite` can be expected to decide if intervals may miss with `error`."""
    budgets = [section.budgets[k] for k in thinking_columns(section.budgets)]
    if count < 2 or len(budgets) < 2:
        return None
    kind = "nano" if suite.source == "nano" else next(name for name in CURVES if suite.name.startswith(name))
    unpruned, pruned = (np.interp(np.log2(budgets), np.log2([budgets[0], budgets[-1]]), ends) for ends in CURVES[kind])
    generator = np.random.default_rng(0)
    means = simulated(
        [unpruned, unpruned, pruned], section.samples, generator, generator.standard_normal((SIMULATED, 1))
    )
    needed = _needed(means, (unpruned, pruned), budgets, section.verdict, error)
    loss, gain = float(unpruned[-1] - pruned[-1]), float(gain_per_doubling(unpruned, budgets))
    off = means[0] - means[1]
    level_half = reach(*spread(off[:, -1]), 1.0, count, error)[0] / loss
    gain_half = reach(*spread(gain_per_doubling(off, budgets)), slope_scale(budgets), count, error)[0] / gain
    return Foresight(suite.name, count, section.samples, float(level_half), float(gain_half), needed, loss, gain)


def simulated(
    accuracies: Sequence[Sequence[float] | Array], samples: int, generator: np.random.Generator, own: Array
) -> list[Array]:
    """Means [problems, budgets] of models with these `accuracies` [budgets] on the same problems, as the module's
    docstring describes; `own` [problems, 1]: the normal variable of each problem."""
    scale = {name: math.sqrt(part) for name, part in VARIANCES.items()}
    means = []
    for accuracy in accuracies:
        below = np.array([NormalDist().inv_cdf(min(max(float(p), 1e-9), 1 - 1e-9)) for p in accuracy])
        of_model = scale["problem"] * own + scale["model"] * generator.standard_normal(own.shape)
        total = np.zeros((len(own), len(accuracy)))
        for _ in range(samples):
            thought = of_model + scale["thought"] * generator.standard_normal(own.shape)
            total += thought + scale["budget"] * generator.standard_normal(total.shape) < below
        means.append(total / samples)
    return means


def _needed(
    means: list[Array], truth: tuple[Array, Array], budgets: list[int], section: VerdictSection, error: float
) -> int | None:
    """The number of problems that shows every statement of RETURNED in four of five fully recovered runs."""
    run, unpruned, pruned = means
    w, slope = section.returned_share, slope_scale(budgets)
    loss, gain = float(truth[0][-1] - truth[1][-1]), float(gain_per_doubling(truth[0], budgets))
    part = (1 - w) * math.log2(budgets[-1] / budgets[0])
    by_gain = part * gain > section.delta
    gains = gain_per_doubling(run, budgets), gain_per_doubling(unpruned, budgets)
    margin = max(section.delta, part * gain)
    short = [run[:, k] - unpruned[:, k] + (part * gains[1] if by_gain else 0) for k in range(len(budgets))]
    lost = _problems(unpruned[:, -1] - pruned[:, -1], 1.0, RUN_ERROR, loss)
    scales = _problems(gains[1], slope, RUN_ERROR, gain)
    level = _problems(run[:, -1] - unpruned[:, -1] + (1 - w) * (unpruned - pruned)[:, -1], 1.0, error, (1 - w) * loss)
    kept = _problems(gains[0] - w * gains[1], slope, error / 2, (1 - w) * gain)
    rises = _problems(gains[0], slope, error / 2, gain)
    near = max(_problems(values, 1.0, error / 2, margin) for values in short)
    most = max(lost, scales, level, min(kept, max(near, rises)))
    return None if math.isinf(most) else int(most)


def _problems(values: Array, scale: float, error: float, distance: float) -> float:
    """Problems that show a contrast whose true value is `distance`, with the spread of `values`; inf if none do."""
    deviation, skewness = (float(each) for each in spread(values))
    contrast = Contrast(distance, -math.inf, math.inf, deviation, skewness, scale, error)
    number = Statement("", contrast, distance, 0).problems_needed(2)
    return math.inf if number is None else float(number)
