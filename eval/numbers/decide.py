"""The verdict on one run: has accuracy learned again to rise with the thinking budget?

    python -m eval.verdict FILE.jsonl [--json]        rows {problem, sample, budget, correct[, model]}

Every word is a region of the true values. It is said where all the statements it needs are shown, each by an interval
paired by problem; where none is, the verdict is UNDECIDED, with the number of problems that would decide. The
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

Every interval is that of `eval.numbers.contrasts`, with 95 % where a sweep is judged alone; in a run the 5 % of error
are shared among its sweeps (`eval.numbers.sequences`), so in 95 % of runs no false RETURNED is said at any sweep. What
is known of the two references alone does not change from sweep to sweep: its intervals have 95 %.

Problems that would decide: so many that, with the spread between problems that was seen, the interval would be short
of the distance to the threshold by 0.84 standard errors; the statement is then shown in four of five repetitions, if
the estimates are the truth (docs/statistics.md has what simulations found). Before a run's last sweep the number is for
the wider intervals of that sweep.

A budget of 0 (thinking off, a control) has no part in it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from eval.numbers.contrasts import Contrast, contrast, reach
from eval.numbers.gains import gain_per_doubling, slope_scale, thinking_columns
from eval.numbers.sequences import RUN_ERROR, interval_name
from eval.numbers.statistics import Array
from recipes.sweep import VerdictSection

Word = Literal["RETURNED", "PARTIAL", "NOT RETURNED", "UNDECIDED"]

RESERVE = 0.8416  # normal quantile of a chance of 80 %; standard errors beyond the interval
MOST_PROBLEMS = 1_000_000  # above this the honest answer is that problems will not decide


@dataclass(frozen=True)
class Verdict:
    """The word and what it rests on. Gains are accuracy per doubling; None where one budget or one problem allows no
    number.

    reasons: the statements that the word needed, or, for UNDECIDED, the one that is missing. recovered: the share of
    the lost accuracy at the largest budget that is back, None where no loss is shown. problems_needed: only for
    UNDECIDED, and None where no number of problems up to a million would decide. error: the probability with which
    each interval may miss.
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
    error: float


@dataclass(frozen=True)
class Statement:
    """A claim that a contrast lies beyond a threshold, on the side away from its bound number `side` (0 low, 1 high).

    distance: of the estimate from the threshold; above 0 where the claim looks true.
    """

    text: str
    contrast: Contrast
    distance: float
    side: int

    @property
    def ratio(self) -> float:
        """How far it is from being shown: half width / distance (1: just shown, inf: looks false)."""
        ends = self.contrast.estimate - self.contrast.low, self.contrast.high - self.contrast.estimate
        # Skewness makes the two ends differ; only the one towards the threshold matters.
        return ends[self.side] / self.distance if self.distance > 0 else math.inf

    def problems_needed(self, problems: int, error: float) -> int | None:
        """From `problems` on, the fewest that show it in four of five repetitions; None where a million would not."""
        if not self._shown_with(MOST_PROBLEMS, error):
            return None
        return bisect_left(range(MOST_PROBLEMS), True, lo=problems, key=lambda count: self._shown_with(count, error))

    def _shown_with(self, problems: int, error: float) -> bool:
        c = self.contrast
        half = float(reach(c.deviation, c.skewness, c.scale, problems, error)[self.side])
        return half + RESERVE * c.deviation / math.sqrt(problems) <= self.distance


@dataclass(frozen=True)
class Paired:
    """Means of correct thoughts in [0, 1] of the three models, [problems, budgets] each. They travel together because
    every row is the same problem in all three, and every column the same budget: all that is judged is paired by it.
    """

    run: Array
    unpruned: Array
    pruned: Array
    budgets: Sequence[int]

    def __post_init__(self) -> None:
        shapes = [self.run.shape, self.unpruned.shape, self.pruned.shape]
        if shapes != [(len(self.run), len(self.budgets))] * 3:
            raise ValueError(
                f"run, unpruned and pruned {shapes} are not the same problems at {len(self.budgets)} budgets"
            )


Claim = tuple[Statement, ...]  # statements that must all hold; the one of largest ratio decides


@dataclass(frozen=True)
class Contrasts:
    """The paired intervals a verdict is made of; the last two are of the references alone."""

    gain: Contrast
    gain_to_unpruned: Contrast
    gain_to_pruned: Contrast
    accuracy_to_unpruned: Contrast
    accuracy_to_pruned: Contrast
    part_of_gap: Contrast
    unpruned_gain: Contrast
    gap: Contrast


def _above(name: str, contrast: Contrast, threshold: float) -> Claim:
    text = f"{name} {_span(contrast)} is above {threshold:g}"
    return (Statement(text, contrast, contrast.estimate - threshold, 0),)


def _below(name: str, contrast: Contrast, threshold: float) -> Claim:
    text = f"{name} {_span(contrast)} is below {threshold:g}"
    return (Statement(text, contrast, threshold - contrast.estimate, 1),)


def _span(contrast: Contrast) -> str:
    return f"{contrast.estimate:+.3f} [{contrast.low:+.3f}, {contrast.high:+.3f}]"


def _ratio(claim: Claim) -> float:
    # all statements must be shown, so the one farthest from it decides
    return max(statement.ratio for statement in claim)


def _either(*claims: Claim) -> Claim:
    # any claim suffices, so the one nearest to being shown counts
    return min(claims, key=_ratio)


def measure(models: Paired, section: VerdictSection, error: float) -> Contrasts:
    """The contrasts of the three models, with the `error` share of this sweep; two problems and two budgets above 0 at
    least."""
    run, unpruned, pruned = models.run, models.unpruned, models.pruned
    gain, unpruned_gain, pruned_gain = (gain_per_doubling(m, models.budgets) for m in (run, unpruned, pruned))
    gap, better = unpruned[:, -1] - pruned[:, -1], run[:, -1] - pruned[:, -1]
    slope = slope_scale(models.budgets)
    return Contrasts(
        gain=contrast(gain, slope, error),
        gain_to_unpruned=contrast(gain - unpruned_gain, slope, error),
        gain_to_pruned=contrast(gain - pruned_gain, slope, error),
        accuracy_to_unpruned=contrast(run[:, -1] - unpruned[:, -1], 1.0, error),
        accuracy_to_pruned=contrast(better, 1.0, error),
        part_of_gap=contrast(better - section.min_recovered * gap, 1.0, error),
        unpruned_gain=contrast(unpruned_gain, slope, RUN_ERROR),
        gap=contrast(gap, 1.0, RUN_ERROR),
    )


def claims(c: Contrasts, section: VerdictSection) -> dict[Word, Claim]:
    """What each word needs, as the module's text says it, in the order in which the words are tried."""
    # Without a shown loss a part of it means nothing: then the run is held to the unpruned model itself.
    name, level = (
        ("accuracy against the part that must be back", c.part_of_gap)
        if c.gap.low > 0
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


def decide(models: Paired, section: VerdictSection, error: float = RUN_ERROR) -> Verdict:
    """The verdict on `models.run`: judged alone, or at one sweep of a run whose share is `sequences.sweep_error`.

    With one budget above 0 there is no gain, with one problem no interval: UNDECIDED, saying so.
    """
    problems, largest = len(models.run), models.budgets[-1]
    few = len(thinking_columns(models.budgets)) < 2
    if few or problems < 2:
        reason = "a gain needs at least two budgets above 0" if few else "an interval needs at least two problems"
        return Verdict("UNDECIDED", None, None, None, None, None, None, largest, (reason,), problems, None, error)
    contrasts = measure(models, section, error)
    by_word = claims(contrasts, section)
    word: Word = next((word for word, claim in by_word.items() if _ratio(claim) < 1), "UNDECIDED")
    if word == "UNDECIDED":
        nearest = max(_either(*by_word.values()), key=lambda statement: statement.ratio)
        reasons, needed = _not_shown(nearest, contrasts), nearest.problems_needed(problems, error)
    else:
        reasons, needed = tuple(dict.fromkeys(statement.text for statement in by_word[word])), None
    gain, gap = contrasts.gain, contrasts.gap
    return Verdict(
        word=word,
        gain=gain.estimate,
        gain_low=gain.low,
        gain_high=gain.high,
        unpruned_gain=contrasts.unpruned_gain.estimate,
        pruned_gain=gain.estimate - contrasts.gain_to_pruned.estimate,
        recovered=contrasts.accuracy_to_pruned.estimate / gap.estimate if gap.low > 0 else None,
        largest_budget=largest,
        reasons=reasons,
        problems=problems,
        problems_needed=needed,
        error=error,
    )


def _not_shown(missing: Statement, contrasts: Contrasts) -> tuple[str, ...]:
    reasons = (f"not shown: {missing.text}",)
    if contrasts.unpruned_gain.low > 0:
        return reasons
    flat = f"the gain of the unpruned model {_span(contrasts.unpruned_gain)} is not shown to be above 0 on this suite"
    return (*reasons, flat)


def verdict_line(verdict: Verdict) -> str:
    """One sentence: the word, the gain with its interval, the unpruned gain, and what is back at the largest budget."""
    if verdict.gain is None or verdict.unpruned_gain is None:
        return f"{verdict.word}: {verdict.reasons[0]}"
    interval = f"[{verdict.gain_low:+.2f}, {verdict.gain_high:+.2f}]"
    named = f" ({interval_name(verdict.error)})" if verdict.error < RUN_ERROR else ""
    where = f"at {verdict.largest_budget} tokens"
    level = (
        f"the pruned model is not measurably worse than the unpruned one {where}"
        if verdict.recovered is None
        else f"{verdict.recovered:.2f} of the accuracy lost {where} is back"
    )
    gains = f"gain {verdict.gain:+.2f} {interval} per doubling{named}, unpruned {verdict.unpruned_gain:+.2f}"
    return f"{verdict.word}: {gains}; {level}{_remedy(verdict)}"


def _remedy(verdict: Verdict) -> str:
    """What would decide an UNDECIDED verdict; empty for all others."""
    if verdict.word != "UNDECIDED":
        return ""
    if verdict.problems_needed:
        return f"; {verdict.problems} problems are too few, about {verdict.problems_needed:,} would decide"
    if verdict.recovered is None:
        return ", so this suite cannot show recovery: use a harder suite or a larger budget"
    return f"; {verdict.problems} problems, and more would not decide"
