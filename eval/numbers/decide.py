"""The verdict on one run: has it regained its reasoning, and its gain from a larger thinking budget?

    python -m eval.verdict FILE.jsonl [--json]        rows {problem, sample, budget, correct[, model][, group]}

Every word is a region of the true values (`eval.numbers.retention` has the rule). It is given if all statements that it
needs are shown, each by an interval paired by problem. If no word is shown, the verdict is UNDECIDED, with the number
of problems that would decide. Every verdict reports the recovered share of the level and of the gain, each with its
interval. If something is still open, the word is qualified (`reading`): a sweep that shows less than the one before is
not a step back unless it refutes something.

Intervals are those of `eval.numbers.contrasts`: 95 % if a sweep is judged alone. In a run, the 5 % of error are shared
among its sweeps (`eval.numbers.sequences`), so in 95 % of runs no sweep gives a false RETURNED.

Problems that would decide: with this number, and the observed spread between problems, the interval's half width is
below the distance to the threshold by 0.84 standard errors, so four of five repetitions show the statement if the
estimates are true. Since they are uncertain, the number is a range: that of the distance's 80 % interval. Before the
last sweep of a run it applies to the wider intervals of that sweep.

A budget of 0 (thinking off, a control) does not enter the verdict.
"""

from __future__ import annotations

from dataclasses import dataclass

from eval.numbers.fractions import ratio_intervals, share_row, share_text
from eval.numbers.gains import gain_per_doubling, thinking_columns
from eval.numbers.retention import (
    Contrasts,
    Paired,
    Word,
    claims,
    measure,
    references_differ,
    refutation,
    share_contrasts,
    word_of,
)
from eval.numbers.sequences import RUN_ERROR, interval_name
from eval.numbers.statements import Claim, ProblemRange, either, is_shown, span
from eval.numbers.statistics import Interval
from recipes.sweep import VerdictSection


@dataclass(frozen=True)
class Verdict:
    """The word and its basis. Gains are accuracy per doubling; None if one budget or one problem allows no number.

    level_share: the recovered share of the accuracy lost at the largest budget, None if no loss is shown; gain_share:
    the gain as a share of the unpruned one, None if that is not shown to be above 0. reasons: the statements that
    the word needed, or, for UNDECIDED, the one that is missing. at_least: for PARTIAL, whether RETURNED is not refuted;
    at_most: for UNDECIDED, whether it is refuted, so that PARTIAL is the most that is still possible.
    problem_range: for UNDECIDED, the problems that would decide, and for such a PARTIAL those that would show RETURNED
    or refute it; None if no number would. error: the probability with which each interval may miss. unit: what
    `problems` counts.
    """

    word: Word
    gain: Interval | None
    unpruned_gain: float | None
    pruned_gain: float | None
    level_share: Interval | None
    gain_share: Interval | None
    largest_budget: int
    reasons: tuple[str, ...]
    problems: int
    problem_range: ProblemRange | None
    error: float
    unit: str = "problems"
    at_least: bool = False
    at_most: bool = False


def decide(models: Paired, section: VerdictSection, error: float = RUN_ERROR) -> Verdict:
    """The verdict on `models.run`: judged alone, or at one sweep of a run whose share is `sequences.sweep_error`.

    One budget above 0 allows no gain, and one problem no interval: the verdict is then UNDECIDED, with that reason.
    """
    problems, largest = len(models.run), models.budgets[-1]
    few = len(thinking_columns(models.budgets)) < 2
    if few or problems < 2:
        reason = "a gain needs at least two budgets above 0" if few else f"an interval needs at least two {models.unit}"
        nothing = (None, None, None, None, None)
        return Verdict("UNDECIDED", *nothing, largest, (reason,), problems, None, error, models.unit)
    contrasts = measure(models, section, error)
    by_word = claims(contrasts, section)
    word = word_of(by_word)
    refuted = refutation(contrasts, section)
    at_least = word == "PARTIAL" and not is_shown(refuted)
    at_most = word == "UNDECIDED" and is_shown(references_differ(contrasts)) and is_shown(refuted)
    open_claims = list(by_word.values()) if word == "UNDECIDED" else [by_word["RETURNED"], refuted] if at_least else []
    nearest = max(either(*open_claims), key=lambda statement: statement.ratio) if open_claims else None
    shares = {
        name: ratio_intervals(above[:, None], below[:, None], scale, error)[0]
        for name, (above, below, scale) in share_contrasts(models).items()
    }
    return Verdict(
        word=word,
        gain=contrasts.gain,
        unpruned_gain=contrasts.unpruned_gain.estimate,
        pruned_gain=_pruned_gain(models),
        level_share=shares["level"],
        gain_share=shares["gain"],
        largest_budget=largest,
        reasons=_not_shown(nearest.text, contrasts) if nearest and not at_least else _texts(by_word[word]),
        problems=problems,
        problem_range=nearest.problem_range(problems) if nearest else None,
        error=error,
        unit=models.unit,
        at_least=at_least,
        at_most=at_most,
    )


def _pruned_gain(models: Paired) -> float:
    return float(gain_per_doubling(models.pruned.mean(axis=0), models.budgets))


def _texts(claim: Claim) -> tuple[str, ...]:
    return tuple(dict.fromkeys(statement.text for statement in claim))


def _not_shown(missing: str, contrasts: Contrasts) -> tuple[str, ...]:
    reasons = (f"not shown: {missing}",)
    if contrasts.unpruned_gain.low > 0:
        return reasons
    flat = f"the gain of the unpruned model {span(contrasts.unpruned_gain)} is not shown to be above 0 on this suite"
    return (*reasons, flat)


def verdict_line(verdict: Verdict) -> str:
    """One sentence: the word, the recovered shares of level and gain, the gain itself, and what would decide."""
    if verdict.gain is None or verdict.unpruned_gain is None:
        return f"{verdict.word}: {verdict.reasons[0]}"
    gain, where = verdict.gain, f"at {verdict.largest_budget} tokens"
    level_share = (
        f"the pruned model is not measurably worse than the unpruned one {where}"
        if verdict.level_share is None
        else f"{share_text(share_row(verdict.level_share))} of the level lost {where} is back"
    )
    gain_share = (
        "the unpruned gain is not shown to be above 0"
        if verdict.gain_share is None
        else f"the gain is {share_text(share_row(verdict.gain_share))} of the unpruned one"
    )
    interval = f"gain {gain.estimate:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}] per doubling"
    named = f" ({interval_name(verdict.error)})" if verdict.error < RUN_ERROR else ""
    shares = f"{level_share}, {gain_share}; {interval}, unpruned {verdict.unpruned_gain:+.2f}{named}"
    return f"{reading(verdict.word, verdict.at_least, verdict.at_most)}: {shares}{_remedy(verdict)}"


def reading(word: str, at_least: bool, at_most: bool) -> str:
    """The word, qualified by what is still open, as in `at least PARTIAL; RETURNED undecided`."""
    if at_least:
        return f"at least {word}; RETURNED undecided"
    return f"{word}, at most PARTIAL" if at_most else word


def _remedy(verdict: Verdict) -> str:
    """What a reader can do about the verdict, or must know about it; empty for most verdicts."""
    if verdict.word == "NOTHING LOST":
        return ", so this suite cannot show recovery: use a harder suite or a larger budget"
    if verdict.word == "NO SCALING HERE":
        return ", so this suite cannot show scaling: use a harder suite or a wider range of budgets"
    if verdict.word == "PARTIAL":
        return _problems(verdict) if verdict.at_least else ""
    if verdict.word != "UNDECIDED":
        return ""
    if verdict.level_share is None or verdict.gain_share is None:
        return f"{_problems(verdict)}; until both are shown no sweep on this suite can show recovery"
    return _problems(verdict)


def _problems(verdict: Verdict) -> str:
    needed, have = verdict.problem_range, f"{verdict.problems} {verdict.unit}"
    if needed is None:
        return f"; {have}, and more would not decide"
    if needed.near:
        return f"; {have}, and the true value is too close to the threshold for more to settle it"
    if needed.high is None:
        return f"; {have} are too few, {needed.low:,} or more would decide (80 % range)"
    return f"; {have} are too few, {needed.low:,} to {needed.high:,} would decide (80 % range)"
