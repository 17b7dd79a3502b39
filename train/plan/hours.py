"""Hours of a run: from a speed given by the user, one measured here, or a measured run on the same kind of card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from recipes.schema import Recipe
from train.plan.measure import Measured
from train.plan.speeds import speed_of
from train.plan.work import SweepCost

NO_MEASUREMENT = "no measurement for {}: run with measure=true on that machine, or give tokens_per_second=N"
SECONDS = 3600


@dataclass(frozen=True)
class Work:
    """The work of a run: training tokens, their FLOPs, and the recipe's sweeps."""

    tokens: float
    flops: float
    sweep: SweepCost


@dataclass(frozen=True)
class Hours:
    """training: hours without sweeps, None if no speed is known; sweeps: upper bound for all sweeps and references,
    None if none was measured; origin: the source of the speed, or how to get one."""

    training: float | None
    sweeps: float | None
    origin: str


def hours_of(work: Work, numbers: Mapping[str, float], ranks: int, measured: Measured | None, by_card: Hours) -> Hours:
    """Prefers the user's figures, then those measured here, then those of the card."""
    sweeps = _sweep_hours(work.sweep, measured) if measured else None
    if "tokens_per_second" in numbers:
        return Hours(work.tokens / numbers["tokens_per_second"] / SECONDS, sweeps, "at the speed that you give")
    if "flops_per_second" in numbers:
        training = work.flops / (numbers["flops_per_second"] * ranks) / SECONDS
        return Hours(training, sweeps, "at the speed that you give")
    if measured is not None:
        return Hours(work.tokens / measured.tokens_per_second / SECONDS, sweeps, f"measured on {measured.place}")
    return by_card


def hours_by_card(recipe: Recipe, card: str, ranks: int, work: Work) -> Hours:
    """Hours from the most similar measured run on such a card; if there is none, `origin` says what to do. Assumes that
    ranks scale without loss."""
    place = f"this card ({card})" if card else "this machine (card=NAME names its GPUs)"
    row = speed_of(card, recipe.adapter.method != "none", work.flops / work.tokens)
    if row is None or recipe.model.dtype != "bfloat16" or not recipe.data.packing:
        return Hours(None, None, NO_MEASUREMENT.format(place))
    origin = f"scaled by FLOPs from a measured run ({row.source}: {row.tokens_per_second:,.0f} tokens/s)"
    return Hours(work.flops / (row.flops_per_second * ranks) / SECONDS, None, origin)


def _sweep_hours(sweep: SweepCost, measured: Measured) -> float | None:
    if not sweep.tokens or not measured.sweep_tokens_per_second:
        return None
    return (sweep.sweeps + sweep.references) * sweep.tokens / measured.sweep_tokens_per_second / SECONDS
