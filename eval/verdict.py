"""The verdict on one run: has accuracy learned again to rise with the thinking budget?

    python -m eval.verdict FILE.jsonl [--json]        rows {problem, sample, budget, correct[, model]}

Every word is a region of the true values. It is said where all the statements it needs are shown, each by a 95 %
interval paired by problem; where none is, the verdict is UNDECIDED, with the number of problems that would decide. The
statements, with `margin`, `level_margin` and `min_recovered` from the recipe and accuracies at the largest budget:

    rises         gain of the run > 0
    gain whole    gain of the run - unpruned > -margin              gain short: < -margin
    level whole   surplus > -level_margin                         level short: < -level_margin
                  surplus = (run - pruned) - min_recovered * (unpruned - pruned) where that gap is shown,
                  else run - unpruned
    better        accuracy of the run - pruned > 0
    steeper       gain of the run - pruned > 0

    RETURNED      rises, gain whole, level whole
    PARTIAL       rises, better, (steeper or gain whole), (gain short or level short)
    NOT RETURNED  gain short and (gain of the run, or its excess over the pruned gain, < margin)
                  or level short and accuracy of the run - pruned < level_margin
                  or gain of the run < 0 while the unpruned model rises

They are tried in this order: an improvement that is shown, however small, is PARTIAL. Slope alone is never the verdict:
a ruined model climbs from nothing, steeper than a healthy one, and fails at the level. "Not above" can never be shown
of two equal models, so NOT RETURNED says "no more than the margin above".

Problems that would decide: a half width shrinks with the square root of the problems, so a statement at distance d from
its threshold with half width h needs P * (h / d)² of them. That would do in half of all repetitions; `POWER` makes it
four of five.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eval.statistics import (
    SEED,
    Array,
    Interval,
    contrast_intervals,
    gain_per_doubling,
    recovered_fraction,
    slope_scale,
)
from recipes.schema import VerdictSection

Word = Literal["RETURNED", "PARTIAL", "NOT RETURNED", "UNDECIDED"]

POWER = 1 + 0.8416 / 1.9600  # half widths are enlarged by this for a chance of 80 %
MOST_PROBLEMS = 1_000_000  # above this the honest answer is that problems will not decide


@dataclass(frozen=True)
class Verdict:
    """The word and what it rests on. Gains are accuracy a doubling; None where one budget or one problem allows no
    number.

    reasons: the statements that the word needed, or, for UNDECIDED, the one that is missing. recovered: the share of
    the lost accuracy at the largest budget that is back, None where no loss is shown. problems_needed: only for
    UNDECIDED, and None where no number of problems up to a million would decide.
    """

    word: Word
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    unpruned_gain: float | None
    pruned_gain: float | None
    recovered: float | None
    largest_budget: int
    reasons: tuple[str, ...]
    problems: int
    problems_needed: int | None


@dataclass(frozen=True)
class Statement:
    """A claim in words, and how far it is from being shown: half width / distance (1: just shown, inf: looks false)."""

    text: str
    ratio: float


Claim = tuple[Statement, ...]  # statements that must all hold; the one of largest ratio decides


@dataclass(frozen=True)
class Contrasts:
    """The paired intervals a verdict is made of."""

    gain: Interval
    unpruned_gain: Interval
    gain_to_unpruned: Interval
    gain_to_pruned: Interval
    accuracy_to_unpruned: Interval
    accuracy_to_pruned: Interval
    gap: Interval
    part_of_gap: Interval


def _above(name: str, interval: Interval, threshold: float) -> Claim:
    distance = interval.estimate - threshold
    ratio = (interval.estimate - interval.low) / distance if distance > 0 else math.inf
    return (Statement(f"{name} {_span(interval)} is above {threshold:g}", ratio),)


def _below(name: str, interval: Interval, threshold: float) -> Claim:
    distance = threshold - interval.estimate
    ratio = (interval.high - interval.estimate) / distance if distance > 0 else math.inf
    return (Statement(f"{name} {_span(interval)} is below {threshold:g}", ratio),)


def _span(interval: Interval) -> str:
    return f"{interval.estimate:+.3f} ({interval.low:+.3f} … {interval.high:+.3f})"


def _ratio(claim: Claim) -> float:
    return max(statement.ratio for statement in claim)


def _either(*claims: Claim) -> Claim:
    return min(claims, key=_ratio)


def measure(run: Array, unpruned: Array, pruned: Array, budgets: Sequence[int], section: VerdictSection) -> Contrasts:
    """The paired contrasts of three models, each [P, K] by the same problems; K and P at least 2."""
    gains = [gain_per_doubling(model, budgets) for model in (run, unpruned, pruned)]
    last_run, last_unpruned, last_pruned = (model[:, -1] for model in (run, unpruned, pruned))
    gap = last_unpruned - last_pruned
    columns = [
        gains[0],
        gains[1],
        gains[0] - gains[1],
        gains[0] - gains[2],
        last_run - last_unpruned,
        last_run - last_pruned,
        gap,
        last_run - last_pruned - section.min_recovered * gap,
    ]
    scales = [slope_scale(budgets)] * 4 + [1.0] * 4
    return Contrasts(*contrast_intervals(np.stack(columns, axis=1), scales, section.resamples, SEED))


def claims(c: Contrasts, section: VerdictSection) -> dict[Word, Claim]:
    """What each word needs, as the module's text says it, in the order in which the words are tried."""
    lost = c.gap.low > 0
    name, level = (
        ("accuracy against the part that must be back", c.part_of_gap)
        if lost
        else ("accuracy against the unpruned model", c.accuracy_to_unpruned)
    )
    rises = _above("gain", c.gain, 0.0)
    gain_whole = _above("gain against the unpruned model", c.gain_to_unpruned, -section.margin)
    gain_short = _below("gain against the unpruned model", c.gain_to_unpruned, -section.margin)
    level_whole = _above(name, level, -section.level_margin)
    level_short = _below(name, level, -section.level_margin)
    better = _above("accuracy against the pruned model", c.accuracy_to_pruned, 0.0)
    not_better = _below("accuracy against the pruned model", c.accuracy_to_pruned, section.level_margin)
    steeper = _above("gain against the pruned model", c.gain_to_pruned, 0.0)
    little_gain = _either(
        _below("gain", c.gain, section.margin),
        _below("gain against the pruned model", c.gain_to_pruned, section.margin),
    )
    falls = _below("gain", c.gain, 0.0) + _above("gain of the unpruned model", c.unpruned_gain, 0.0)
    return {
        "RETURNED": rises + gain_whole + level_whole,
        "PARTIAL": rises + better + _either(steeper, gain_whole) + _either(gain_short, level_short),
        "NOT RETURNED": _either(gain_short + little_gain, level_short + not_better, falls),
    }


def decide(run: Array, unpruned: Array, pruned: Array, budgets: Sequence[int], section: VerdictSection) -> Verdict:
    """The verdict on `run`; all three [P, K], means of correct thoughts by problem in [0, 1], paired by problem.

    With one budget there is no gain, with one problem no interval: UNDECIDED, saying so.
    """
    problems = len(run)
    if len(budgets) < 2 or problems < 2:
        reason = "a gain needs at least two budgets" if len(budgets) < 2 else "an interval needs at least two problems"
        return Verdict("UNDECIDED", None, None, None, None, None, None, budgets[-1], (reason,), problems, None)
    contrasts = measure(run, unpruned, pruned, budgets, section)
    by_word = claims(contrasts, section)
    word: Word = next((word for word, claim in by_word.items() if _ratio(claim) < 1), "UNDECIDED")
    back = recovered_fraction(run[:, -1:], unpruned[:, -1:], pruned[:, -1:])[0] if contrasts.gap.low > 0 else None
    if word == "UNDECIDED":
        reasons, needed = _what_would_decide(_either(*by_word.values()), contrasts, problems)
    else:
        reasons, needed = tuple(dict.fromkeys(statement.text for statement in by_word[word])), None
    gain = contrasts.gain
    return Verdict(
        word,
        gain.estimate,
        gain.low,
        gain.high,
        contrasts.unpruned_gain.estimate,
        gain.estimate - contrasts.gain_to_pruned.estimate,
        back.estimate if back else None,
        budgets[-1],
        reasons,
        problems,
        needed,
    )


def _what_would_decide(nearest: Claim, contrasts: Contrasts, problems: int) -> tuple[tuple[str, ...], int | None]:
    missing = max(nearest, key=lambda statement: statement.ratio)
    reasons = [f"not shown: {missing.text}"]
    if contrasts.unpruned_gain.low <= 0:
        reasons.append(
            f"the unpruned model's own gain {_span(contrasts.unpruned_gain)} is not shown to be above 0 on this suite"
        )
    needed = problems * (POWER * missing.ratio) ** 2
    return tuple(reasons), math.ceil(needed) if needed <= MOST_PROBLEMS else None


def verdict_line(verdict: Verdict) -> str:
    """One sentence: the word, the gain with interval, the unpruned gain, and what is back at the largest budget."""
    if verdict.gain is None or verdict.unpruned_gain is None:
        return f"{verdict.word}: {verdict.reasons[0]}"
    line = (
        f"{verdict.word}: gain {verdict.gain:+.2f} per doubling ({verdict.gain_low:.2f} … {verdict.gain_high:.2f}), "
        f"unpruned {verdict.unpruned_gain:+.2f}; "
    )
    where = f"at {verdict.largest_budget} tokens"
    line += (
        f"no loss to the unpruned model was measured {where}"
        if verdict.recovered is None
        else f"{verdict.recovered:.2f} of the lost accuracy {where} is back"
    )
    if verdict.word == "UNDECIDED":
        needed = verdict.problems_needed
        line += f"; {verdict.problems} problems, " + (
            f"about {needed:,} would decide" if needed else "more would not decide"
        )
    return line


if __name__ == "__main__":
    from eval.verdict_rows import main
    from recipes.command import run as run_command

    run_command(main)
