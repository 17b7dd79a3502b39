"""Hours by what the user gives, by what was measured here, by what is known of a card: worked out by hand."""

from __future__ import annotations

import pytest

from recipes.loader import load_recipe
from recipes.schema import Recipe
from train.plan.hours import Hours, Work, hours_by_card, hours_of
from train.plan.measure import Measured
from train.plan.speeds import SPEEDS
from train.plan.work import SweepCost

SWEEP = SweepCost(sweeps=6, references=2, problems={"chain": 10}, tokens=1800, memory_bytes=0, note="")
WORK = Work(tokens=36_000.0, flops=36_000 * 1e9, sweep=SWEEP)
HERE = Measured(tokens_per_second=100, sweep_tokens_per_second=4, seconds=9, reserved_bytes=None, place="a chip")
OF_CARD = Hours(7.0, None, "of the card")


@pytest.mark.parametrize(
    ("numbers", "measured", "expected"),
    [
        ({"tokens_per_second": 10}, None, Hours(1.0, None, "at the speed that you give")),
        ({"flops_per_second": 5e9}, None, Hours(1.0, None, "at the speed that you give")),  # on each of two ranks
        ({}, HERE, Hours(0.1, 1.0, "measured on a chip")),  # 8 sweeps of 1,800 tokens at 4 per second
        ({"tokens_per_second": 10}, HERE, Hours(1.0, 1.0, "at the speed that you give")),
        ({}, None, OF_CARD),
    ],
)
def test_what_the_user_says_comes_first(numbers: dict[str, float], measured: Measured | None, expected: Hours) -> None:
    assert hours_of(WORK, numbers, 2, measured, OF_CARD) == expected


def of(*keys: str) -> Recipe:
    return load_recipe(["recipe=full_recovery.yaml", *keys]).recipe


def test_a_card_scales_its_nearest_run_by_flops_and_shares_the_work_among_ranks() -> None:
    row = SPEEDS[0]
    work = Work(tokens=2 * 3600.0, flops=2 * 3600.0 * row.flops_per_token * 1.5, sweep=SWEEP)
    hours = hours_by_card(of("model.dtype=bfloat16", "data.packing=true"), "NVIDIA H100 80GB HBM3", 2, work)
    assert hours.training == pytest.approx(1.5 / row.tokens_per_second)
    assert f"{row.tokens_per_second:,.0f} tokens/s" in hours.origin and "4af098d" in hours.origin


@pytest.mark.parametrize(
    ("keys", "card"),
    [
        (("model.dtype=bfloat16", "data.packing=true"), "NVIDIA B200"),
        (("model.dtype=bfloat16", "data.packing=false"), "H100"),
        (("model.dtype=float32", "data.packing=true"), "H100"),
    ],
)
def test_what_was_not_measured_has_no_hours(keys: tuple[str, ...], card: str) -> None:
    work = Work(tokens=1.0, flops=SPEEDS[0].flops_per_token, sweep=SWEEP)
    hours = hours_by_card(of(*keys), card, 1, work)
    assert hours.training is None
    assert hours.origin.startswith(f"no measurement for this card ({card}): run with measure=true")
