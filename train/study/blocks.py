"""The blocks of a study's page, from its findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from eval.numbers.statistics import Interval
from eval.show.sections import Table
from recipes.study import Number, StudyRecipe
from train.study.findings import ArmFinding, Findings, PairFinding
from train.study.grid import Arm, arms_of
from train.study.page import Block
from train.study.price import Price
from train.study.results import ArmResult
from train.study.returns import SHOWN, half_back_cells
from train.study.sentences import NAMES, claim_sentence, expectation_sentence, plain, signed

ARMS_PICTURE, TOKENS_PICTURE = "arms.png", "tokens.png"


@dataclass(frozen=True)
class Missing:
    """What the page lacks: arms that are unavailable here, and unfinished cells with their last messages."""

    arms: tuple[Arm, ...] = ()
    cells: tuple[tuple[str, str], ...] = ()


def blocks(
    study: StudyRecipe, found: Findings, record: Mapping[str, Any], missing: Missing, prices: Mapping[str, Price]
) -> list[Block]:
    """The page from top to bottom."""
    return [
        Block("Answers", items=tuple(claim_sentence(claim) for claim in found.claims), text=(_size(found),)),
        *_missing(missing),
        _expectation(study, found, record),
        _arms(found),
        _pairs(found, study.tokens_tolerance),
        _tokens(found),
        _first(found),
        _costs(found, prices),
        _what_arms_are(study),
        _method(found),
    ]


def _size(found: Findings) -> str:
    results = found.results
    trainings = sum(len(arm.trainings) for arm in results.arms)
    return (
        f"Measured on {results.problems} problems of {results.suite} at thinking budgets "
        f"{', '.join(map(str, results.budgets))}, with {trainings} trainings of {len(results.arms)} arms. Each "
        "sentence is derived from an interval by a fixed rule; the intervals of all claims are simultaneous (95 %)."
    )


def _missing(missing: Missing) -> list[Block]:
    arms = [f"{arm.name} ({arm.title}): left out; not available here: {', '.join(arm.missing)}" for arm in missing.arms]
    cells = [f"{name}: {said}" for name, said in missing.cells]
    return [Block("What is missing", items=(*arms, *cells))] if arms or cells else []


def _expectation(study: StudyRecipe, found: Findings, record: Mapping[str, Any]) -> Block:
    expected = record["expected"]
    titles = _titles(found) | {name: section.title for name, section in study.arms.items() if section}
    lines = []
    for claim in found.claims:
        value = "-" if claim.value is None else signed(claim.value)
        lines.append([expectation_sentence(claim.claim, titles), value, claim.word])
    text = (
        f"Recorded on {expected['written']}, before the first run started, with the SHA-256 {expected['sha256']}. "
        "Compared: the quantity that was expected to be above or below 0, with its interval."
    )
    return Block("Expectations and findings", (text,), table=Table(["expected", "compared", "found"], lines))


def _titles(found: Findings) -> dict[str, str]:
    return {arm.name: arm.title for arm in found.results.arms}


def _arms(found: Findings) -> Block:
    numbers = [number for number in NAMES if number in found.arms[0].numbers]
    heads = ["arm", "runs", "lost level back", "gain / unpruned gain", *(HEADS[number] for number in numbers)]
    lines = [[*_arm_cells(each), *(_number(each, number) for number in numbers), _levels(each)] for each in found.arms]
    lines += [_line_before(found, arm, "unpruned", numbers) for arm in found.results.arms[:1]]
    lines += [_line_before(found, arm, "pruned", numbers) for arm in different_cuts(found)]
    text = (
        "Intervals are simultaneous over all arms of a column (95 %) and cover other problems and other trainings. A "
        "dash: the denominator is not shown to be above 0.",
    )
    return Block("Arms", text, table=Table([*heads, "levels by training"], lines), picture=ARMS_PICTURE)


HEADS: dict[Number, str] = {
    "level": "level",
    "gain": "gain per doubling",
    "termination": "termination",
    "thinking_off": "thinking off",
}


def _arm_cells(each: ArmFinding) -> list[str]:
    return [each.arm.title, str(len(each.arm.trainings)), _share(each.level_back), _share(each.gain_back)]


def _share(share: Interval | None) -> str:
    return "-" if share is None else plain(share)


def _number(each: ArmFinding, number: Number) -> str:
    value = each.numbers[number]
    return signed(value) if number == "gain" else plain(value)


def _levels(each: ArmFinding) -> str:
    low, high = each.levels
    return f"{low:.2f} to {high:.2f}"


def different_cuts(found: Findings) -> list[ArmResult]:
    """One arm for each distinct pruned model of the study; models with the same answers count as one."""
    by_answers = {arm.trainings[0].answers["pruned"].correct.tobytes(): arm for arm in reversed(found.results.arms)}
    chosen = {arm.name for arm in by_answers.values()}
    return [arm for arm in found.results.arms if arm.name in chosen]


def _line_before(found: Findings, arm: ArmResult, which: str, numbers: Sequence[Number]) -> list[str]:
    """A model of an arm before training."""
    budgets = found.results.budgets
    means = [float(arm.values(number, which, budgets).mean()) for number in numbers]
    cells = [f"{mean:+.2f}" if number == "gain" else f"{mean:.2f}" for number, mean in zip(numbers, means, strict=True)]
    return [f"{which}, before training ({arm.name})", "-", "-", "-", *cells, "-"]


def _pairs(found: Findings, tolerance: float) -> Block:
    heads = ["pair", "number", "difference", "p", "p by Holm", "labelled tokens"]
    lines = [_pair_cells(pair, tolerance) for pair in found.pairs]
    text = (
        "First minus second, on the same problems and seeds; individual 95 % intervals, Holm's correction over the "
        "pairs of a number. Labelled tokens: ratio of first to second; marked if they are not equal.",
    )
    return Block("Paired differences", text, table=Table(heads, lines))


def _pair_cells(pair: PairFinding, tolerance: float) -> list[str]:
    unequal = abs(pair.tokens - 1) > tolerance
    return [
        f"{pair.first.title} - {pair.second.title}",
        NAMES[pair.number],
        signed(pair.interval),
        f"{pair.p:.2g}",
        f"{pair.adjusted:.2g}",
        f"{pair.tokens:.2f}{' (NOT EQUAL)' if unequal else ''}",
    ]


def _tokens(found: Findings) -> Block:
    return Block(
        "Recovery over tokens", ("Accuracy at the largest budget, mean over trainings.",), picture=TOKENS_PICTURE
    )


def _first(found: Findings) -> Block:
    text = (
        "The step of the first sweep with half of the loss recovered, for each training; the spacing of sweeps limits "
        "its precision.",
    )
    lines = [[each.arm.title, *half_back_cells(each.arm, found.results.suite)] for each in found.arms]
    return Block("What recovers first", text, table=Table(["arm", *SHOWN, "first"], lines))


def _costs(found: Findings, prices: Mapping[str, Price]) -> Block:
    text = (
        "Of one run, mean over trainings. Tokens and seconds are measured; FLOPs are from train.plan for the "
        "tokens trained on, including those of a teacher and of generated thoughts, without sweeps.",
    )
    heads = ["arm", "labelled tokens", "tokens", "training FLOPs", "seconds of training", "seconds of sweeps"]
    return Block("Cost", text, table=Table(heads, [_cost_cells(each, prices) for each in found.arms]))


def _cost_cells(each: ArmFinding, prices: Mapping[str, Price]) -> list[str]:
    trainings = each.arm.trainings
    tokens = fmean(training.tokens for training in trainings)
    price = prices.get(each.arm.name)
    known = price is not None and price.flops is not None and price.tokens
    flops = f"{price.flops * tokens / price.tokens:.2g}" if known and price and price.flops and price.tokens else "-"
    seconds = [fmean(getattr(training, key) for training in trainings) for key in ("seconds", "sweep_seconds")]
    labelled = fmean(training.labelled_tokens for training in trainings)
    return [each.arm.title, f"{labelled:,.0f}", f"{tokens:,.0f}", flops, *(f"{value:,.0f}" for value in seconds)]


def _what_arms_are(study: StudyRecipe) -> Block:
    arms = [arm for arm in arms_of(study) if not arm.missing]
    own = [[arm.name, arm.title, "; ".join(_overrides(arm, study)) or "nothing"] for arm in arms]
    text = (f"Every arm is {study.base} with {'; '.join(study.shared) or 'nothing changed'}, and in addition:",)
    return Block("Arms in detail", text, table=Table(["arm", "title", "changed"], own))


def _overrides(arm: Arm, study: StudyRecipe) -> list[str]:
    layers = arm.layers[1:] if study.shared else arm.layers
    return [key for layer in layers for key in layer]


def _method(found: Findings) -> Block:
    alone = [each.arm.title for each in found.arms if len(each.arm.trainings) < 2]
    text = (
        "Trainings are crossed with problems: each number is the mean over both, and its variance is the variance "
        "between problems plus that between trainings. The latter is an arm's own or that of all arms together, "
        "whichever gives the wider interval (eval/numbers/seeds.py). Labelled tokens are the tokens trained on times "
        "the labelled share of the traces.",
        *([f"Trained once, so their intervals do not cover other trainings: {', '.join(alone)}."] if alone else []),
    )
    return Block("How it was computed", text)
