"""The verdict's rule: how much of what pruning took, and of the gain from thinking longer, is recovered (retention of
effect).

All contrasts are linear in the problems' means and paired by problem. With `returned_share` w, `not_returned_share` s
and `delta` from the recipe, accuracies at the largest budget, gains per doubling, and G the unpruned gain over all
doublings:

    lost           unpruned - pruned > 0
    scales         gain(unpruned) > 0                                     little gain: G < delta
    level kept     (run - pruned) - w (unpruned - pruned) > 0             level short: < 0
    gain kept      gain(run) - w gain(unpruned) > 0
    nowhere short  run - unpruned > -max(delta, (1 - w) G) at every budget, and gain(run) > 0 or
                   run - unpruned > -(1 - w) G at the largest

    NOTHING LOST     lost is not shown, and unpruned - pruned < delta
    NO SCALING HERE  little gain
    RETURNED         lost, scales, level kept, and (gain kept or nowhere short)
    NOT RETURNED     lost, scales, and ((run - pruned) - s (unpruned - pruned) < 0,
                     or gain(run) - s gain(unpruned) < 0 and level short)
    PARTIAL          lost, scales, run - pruned > 0, gain(run) > 0

They are tried in this order. The first two say that the suite cannot answer: they depend only on the references.
RETURNED through "nowhere short" is for runs that are as good as the unpruned model but less steep, because they are
better at small budgets; a flat run must also reach the unpruned level at the largest budget within a fifth of the gain.

Lost, scales and the first two words depend only on the references, which do not change from sweep to sweep, so they
have 95 % intervals. If two ways lead to a word, each has half of the verdict's error, so that the word has all of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eval.numbers.contrasts import Contrast, contrast
from eval.numbers.gains import gain_per_doubling, slope_scale, thinking_columns
from eval.numbers.groups import by_group
from eval.numbers.sequences import RUN_ERROR
from eval.numbers.statements import Claim, above, below, either, is_shown, weakest
from eval.numbers.statistics import Array
from recipes.sweep import VerdictSection

Word = Literal["RETURNED", "PARTIAL", "NOT RETURNED", "NOTHING LOST", "NO SCALING HERE", "UNDECIDED"]


@dataclass(frozen=True)
class Paired:
    """Means of correct thoughts in [0, 1] of the three models, [problems, budgets] each. They are one object because
    every row is the same problem in all three, and every column the same budget: all statements are paired this way.

    unit: what a row is, `problems`, or `groups` of related problems.
    """

    run: Array
    unpruned: Array
    pruned: Array
    budgets: Sequence[int]
    unit: Literal["problems", "groups"] = "problems"

    def __post_init__(self) -> None:
        shapes = [self.run.shape, self.unpruned.shape, self.pruned.shape]
        if shapes != [(len(self.run), len(self.budgets))] * 3:
            raise ValueError(
                f"run, unpruned and pruned {shapes} are not the same problems at {len(self.budgets)} budgets"
            )

    def grouped(self, groups: Sequence[str] | None) -> Paired:
        """The same models with one row per group; `groups` names the group of each row, None changes nothing."""
        if groups is None:
            return self
        run, unpruned, pruned = (by_group(means, groups) for means in (self.run, self.unpruned, self.pruned))
        return Paired(run, unpruned, pruned, self.budgets, "groups")


@dataclass(frozen=True)
class Contrasts:
    """The paired intervals on which a verdict is based. `loss` and `unpruned_gain` involve only the references and have
    95 %; those named half have half of the verdict's error.

    shortfall_half: the worst budget's `run - unpruned` (with `margin` to compare with), and its budget.
    """

    loss: Contrast
    unpruned_gain: Contrast
    gain: Contrast
    better: Contrast
    level: Contrast
    level_low_half: Contrast
    gain_half: Contrast
    gain_kept_half: Contrast
    gain_low_half: Contrast
    at_largest_half: Contrast
    shortfall_half: tuple[int, Contrast]
    margin: float
    doublings: float


def measure(models: Paired, section: VerdictSection, error: float) -> Contrasts:
    """The contrasts of the three models, with this sweep's share `error`; needs at least two problems and two budgets
    above 0."""
    w, s, half = section.returned_share, section.not_returned_share, error / 2
    run, unpruned, pruned = models.run, models.unpruned, models.pruned
    gain, unpruned_gain = gain_per_doubling(run, models.budgets), gain_per_doubling(unpruned, models.budgets)
    loss, better = unpruned[:, -1] - pruned[:, -1], run[:, -1] - pruned[:, -1]
    slope, columns = slope_scale(models.budgets), thinking_columns(models.budgets)
    doublings = math.log2(models.budgets[-1] / models.budgets[columns[0]])
    fifth = (1 - w) * doublings * unpruned_gain  # the allowed shortfall if the gain is large, [problems]
    by_gain = float(fifth.mean()) > section.delta
    short = {
        models.budgets[k]: contrast(run[:, k] - unpruned[:, k] + (fifth if by_gain else 0.0), 1.0, half)
        for k in columns
    }
    worst = min(short, key=lambda budget: short[budget].low)
    return Contrasts(
        loss=contrast(loss, 1.0, RUN_ERROR),
        unpruned_gain=contrast(unpruned_gain, slope, RUN_ERROR),
        gain=contrast(gain, slope, error),
        better=contrast(better, 1.0, error),
        level=contrast(better - w * loss, 1.0, error),
        level_low_half=contrast(better - s * loss, 1.0, half),
        gain_half=contrast(gain, slope, half),
        gain_kept_half=contrast(gain - w * unpruned_gain, slope, half),
        gain_low_half=contrast(gain - s * unpruned_gain, slope, half),
        at_largest_half=contrast(run[:, -1] - unpruned[:, -1] + fifth, 1.0, half),
        shortfall_half=(worst, short[worst]),
        margin=0.0 if by_gain else -section.delta,
        doublings=doublings,
    )


def references_differ(c: Contrasts) -> Claim:
    """That there is something to recover: accuracy was lost, and the unpruned model's own accuracy rises."""
    lost = above("accuracy of the unpruned model minus the pruned one", c.loss)
    return lost + above("gain of the unpruned model", c.unpruned_gain)


def claims(c: Contrasts, section: VerdictSection) -> dict[Word, Claim]:
    """The statements that each word needs (see the module's docstring), in the order in which words are tried."""
    w, s = section.returned_share, section.not_returned_share
    differ = references_differ(c)
    little_gain = below("gain of the unpruned model", c.unpruned_gain, section.delta / c.doublings)
    level_name = f"recovered level minus {w:g} of the loss"
    near = above(*_shortfall(c, section))
    not_flat = either(
        above("gain", c.gain_half),
        above(f"level minus the unpruned level, plus {1 - w:.2g} of its gain over all budgets", c.at_largest_half),
    )
    level_low = below(f"recovered level minus {s:g} of the loss", c.level_low_half)
    gain_low = below(f"gain minus {s:g} of the unpruned gain", c.gain_low_half)
    by_word: dict[Word, Claim] = {
        "NOTHING LOST": below("accuracy of the unpruned model minus the pruned one", c.loss, section.delta),
        "NO SCALING HERE": little_gain,
        "RETURNED": differ
        + above(level_name, c.level)
        + either(above(f"gain minus {w:g} of the unpruned gain", c.gain_kept_half), near + not_flat),
        "NOT RETURNED": differ + either(level_low, gain_low + below(level_name, c.level)),
        "PARTIAL": differ + above("level minus the pruned level", c.better) + above("gain", c.gain),
    }
    if is_shown(differ[:1]):
        del by_word["NOTHING LOST"]
    return by_word


def word_of(by_word: dict[Word, Claim]) -> Word:
    """The first word whose claim is shown, else UNDECIDED."""
    return next((word for word, claim in by_word.items() if is_shown(claim)), "UNDECIDED")


def _shortfall(c: Contrasts, section: VerdictSection) -> tuple[str, Contrast, float]:
    budget, shortfall = c.shortfall_half
    name = f"accuracy minus the unpruned accuracy at {budget:,} tokens"
    part = f", plus {1 - section.returned_share:.2g} of its gain over all budgets"
    return name + (part if c.margin == 0 else ""), shortfall, c.margin


def refutation(c: Contrasts, section: VerdictSection) -> Claim:
    """That RETURNED is false: the level is short, or the gain is and the run falls short at the largest budget."""
    w = section.returned_share
    gain_short = below(f"gain minus {w:g} of the unpruned gain", c.gain_kept_half)
    short = below(*_shortfall(c, section))
    return either(below(f"recovered level minus {w:g} of the loss", c.level), weakest(gain_short, short))


def share_contrasts(models: Paired) -> dict[str, tuple[Array, Array, float]]:
    """(numerator, denominator, scale) of the recovered shares by name, [problems] each: of the level, and of the
    gain."""
    gain, unpruned_gain = (gain_per_doubling(means, models.budgets) for means in (models.run, models.unpruned))
    return {
        "level": (models.run[:, -1] - models.pruned[:, -1], models.unpruned[:, -1] - models.pruned[:, -1], 1.0),
        "gain": (np.asarray(gain), np.asarray(unpruned_gain), slope_scale(models.budgets)),
    }
