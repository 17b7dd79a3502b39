"""The findings of a study: numbers by arm, paired differences, and whether each claim is as expected. Pure functions.

Seeds are crossed with problems (`eval.numbers.seeds`): a number is the mean over problems and trainings, and its
interval covers other problems and other seeds. Intervals are simultaneous over all arms, and over all claims (which
share the 5 % equally); paired differences have Holm's correction over the pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from eval.numbers.pairs import holm
from eval.numbers.seeds import Pooled, pooled, seeds_interval, seeds_p_value, seeds_share
from eval.numbers.statistics import ERROR, Array, Interval
from recipes.study import MODELS, BackClaim, ClaimSection, Number, StudyRecipe
from train.study.results import ArmResult, Results, scale_of

Word = Literal["as expected", "the opposite of what was expected", "undecided", "nothing was lost", "not run"]
NUMBERS: tuple[Number, ...] = ("level", "gain", "termination", "thinking_off")


@dataclass(frozen=True)
class ArmFinding:
    """An arm's numbers after training, and the recovered shares of level and gain (None: no loss, or no gain of the
    unpruned model, is shown); lowest and highest level of its trainings."""

    arm: ArmResult
    numbers: Mapping[Number, Interval]
    level_back: Interval | None
    gain_back: Interval | None
    levels: tuple[float, float]


@dataclass(frozen=True)
class PairFinding:
    """first minus second in one number; tokens: ratio of their labelled tokens."""

    first: ArmResult
    second: ArmResult
    number: Number
    interval: Interval
    p: float
    adjusted: float
    tokens: float


@dataclass(frozen=True)
class ClaimFinding:
    """A claim and its result; value: the quantity compared with 0; share: for `back` claims, None if undefined."""

    name: str
    claim: ClaimSection
    word: Word
    arm: ArmResult | None = None
    other: ArmResult | None = None
    value: Interval | None = None
    share: Interval | None = None


@dataclass(frozen=True)
class Findings:
    results: Results
    arms: tuple[ArmFinding, ...]
    pairs: tuple[PairFinding, ...]
    claims: tuple[ClaimFinding, ...]

    @property
    def named(self) -> dict[str, ArmFinding]:
        return {found.arm.name: found for found in self.arms}


def findings(study: StudyRecipe, results: Results) -> Findings:
    """All findings for the page."""
    of_all = spreads(results)
    arms = tuple(_arm(arm, results, of_all, ERROR / len(results.arms)) for arm in results.arms)
    by_name = {arm.name: arm for arm in results.arms}
    claims = tuple(
        _claim(name, claim, by_name, _Asked(results.budgets, of_all, ERROR / len(study.claims)))
        for name, claim in study.claims.items()
    )
    return Findings(results, arms, _pairs(study.pairs, by_name, results, of_all), claims)


def spreads(results: Results) -> dict[Number, Pooled | None]:
    """The spread between trainings of an arm in each number, pooled over all arms."""
    return {
        number: pooled([arm.values(number, "run", results.budgets) for arm in results.arms])
        for number in _numbers(results.budgets)
    }


def _numbers(budgets: Sequence[int]) -> list[Number]:
    return [number for number in NUMBERS if number != "thinking_off" or budgets[0] == 0]


def _arm(arm: ArmResult, results: Results, of_all: Mapping[Number, Pooled | None], error: float) -> ArmFinding:
    budgets = results.budgets
    numbers = {
        number: _possible(number, seeds_interval(values, scale_of(number, budgets), error, of_all[number]))
        for number in _numbers(budgets)
        for values in [arm.values(number, "run", budgets)]
    }
    levels = arm.values("level", "run", budgets).mean(axis=1)
    back = {number: share_back(arm, number, budgets, error, of_all[number]) for number in ("level", "gain")}
    return ArmFinding(arm, numbers, back["level"], back["gain"], (float(levels.min()), float(levels.max())))


def _possible(number: Number, interval: Interval) -> Interval:
    """The interval within a number's possible values: all except a gain are in [0, 1]."""
    if number == "gain":
        return interval
    return Interval(interval.estimate, max(0.0, interval.low), min(1.0, interval.high))


def share_back(
    arm: ArmResult, number: Number, budgets: Sequence[int], error: float, of_all: Pooled | None
) -> Interval | None:
    """The arm's share of the lost level, or of the unpruned gain; None if the denominator is not shown to be above
    0."""
    run, whole = (arm.values(number, which, budgets) for which in ("run", "unpruned"))
    before = arm.values(number, "pruned", budgets) if number == "level" else 0.0
    return seeds_share(run - before, whole - before, scale_of(number, budgets), error, of_all)


def _pairs(
    pairs: Sequence[Sequence[str]],
    arms: Mapping[str, ArmResult],
    results: Results,
    of_all: Mapping[Number, Pooled | None],
) -> tuple[PairFinding, ...]:
    """Pairs by number, each corrected over the pairs; pairs without a common seed are left out."""
    known = [(arms[first], arms[second]) for first, second in pairs if first in arms and second in arms]
    both = [pair for first, second in known if (pair := at_same_seeds(first, second))]
    found: list[PairFinding] = []
    for number in ("level", "gain"):
        scale, spread = scale_of(number, results.budgets), of_all[number]
        twice = spread.of_differences() if spread else None
        values = [difference(first, second, number, results.budgets) for first, second in both]
        p_values = [seeds_p_value(each, scale, twice) for each in values]
        for (first, second), each, p, adjusted in zip(both, values, p_values, holm(p_values), strict=True):
            interval = seeds_interval(each, scale, ERROR, twice)
            found.append(PairFinding(first, second, number, interval, p, adjusted, tokens_ratio(first, second)))
    return tuple(found)


def at_same_seeds(first: ArmResult, second: ArmResult) -> tuple[ArmResult, ArmResult] | None:
    """Both arms with their common seeds; None if there are none."""
    seeds = [each.seed for each in first.trainings if each.seed in {other.seed for other in second.trainings}]
    return (first.of_seeds(seeds), second.of_seeds(seeds)) if seeds else None


def difference(first: ArmResult, second: ArmResult, number: Number, budgets: Sequence[int]) -> Array:
    """first minus second, [seeds, problems], of the same seeds."""
    return first.values(number, "run", budgets) - second.values(number, "run", budgets)


def tokens_ratio(first: ArmResult, second: ArmResult) -> float:
    """Ratio of first's labelled tokens to second's."""
    one, other = (sum(training.labelled_tokens for training in arm.trainings) for arm in (first, second))
    return one / other if other else float("nan")


@dataclass(frozen=True)
class _Asked:
    """The basis for judging claims: budgets, spreads between trainings, and each claim's part of the error."""

    budgets: tuple[int, ...]
    of_all: Mapping[Number, Pooled | None]
    error: float


def _claim(name: str, claim: ClaimSection, arms: Mapping[str, ArmResult], asked: _Asked) -> ClaimFinding:
    arm = arms.get(claim.arm)
    if arm is None:
        return ClaimFinding(name, claim, "not run")
    if isinstance(claim, BackClaim):
        return _back(name, claim, arm, asked)
    if claim.against in MODELS:
        values = arm.values(claim.number, "run", asked.budgets) - arm.values(claim.number, claim.against, asked.budgets)
        return _judged(ClaimFinding(name, claim, "undecided", arm), values, asked)
    both = at_same_seeds(arm, arms[claim.against]) if claim.against in arms else None
    if both is None:
        return ClaimFinding(name, claim, "not run", arm)
    values = difference(*both, claim.number, asked.budgets)
    return _judged(ClaimFinding(name, claim, "undecided", *both), values, asked)


def _back(name: str, claim: BackClaim, arm: ArmResult, asked: _Asked) -> ClaimFinding:
    """Judged by run - pruned - share (unpruned - pruned), or gain(run) - share gain(unpruned), as a verdict is."""
    share = share_back(arm, claim.number, asked.budgets, asked.error, asked.of_all[claim.number])
    if share is None:
        return ClaimFinding(name, claim, "nothing was lost", arm)
    run, whole, pruned = (arm.values(claim.number, which, asked.budgets) for which in ("run", "unpruned", "pruned"))
    before = pruned if claim.number == "level" else 0.0
    values = run - before - claim.share * (whole - before)
    return _judged(ClaimFinding(name, claim, "undecided", arm, share=share), values, asked)


def _judged(found: ClaimFinding, values: Array, asked: _Asked) -> ClaimFinding:
    claim, spread = found.claim, asked.of_all[found.claim.number]
    of_all = spread.of_differences() if spread and found.other else spread
    value = seeds_interval(values, scale_of(claim.number, asked.budgets), asked.error, of_all)
    return ClaimFinding(found.name, claim, word_of(value, claim.expected), found.arm, found.other, value, found.share)


def word_of(value: Interval, expected: Literal["above", "below"]) -> Word:
    """Compares the side of 0 on which the whole interval is with the expected side."""
    if value.low <= 0 <= value.high:
        return "undecided"
    return "as expected" if (value.low > 0) == (expected == "above") else "the opposite of what was expected"
