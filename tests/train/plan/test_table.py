"""An estimate as text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from train.plan.estimate import Estimate, estimate_run
from train.plan.hours import Hours
from train.plan.measure import Measured
from train.plan.table import size, table


@pytest.fixture(scope="module")
def estimate() -> Estimate:
    return estimate_run(["recipe=full_recovery.yaml"], {"gpus": 1, "traces": 100, "tokens": 5000})


@pytest.mark.parametrize(("count", "text"), [(0, "0.0 MiB"), (3 << 19, "1.5 MiB"), (5 << 28, "1.25 GiB")])
def test_bytes_are_shown_in_the_unit_that_suits_them(count: int, text: str) -> None:
    assert size(count) == text


def test_the_parts_of_the_peak_end_with_their_total(estimate: Estimate) -> None:
    shown = table(estimate)
    total = f"  {'total':28} {size(estimate.memory.peak.total):>12}"
    assert total in shown.splitlines()
    assert f"memory of a rank at its peak ({estimate.memory.peak.name})" in shown


def test_without_a_limit_nothing_is_said_of_what_fits(estimate: Estimate) -> None:
    assert table(estimate).endswith("no limit was given, so the fit was not checked: give gpu_memory_gb=N")


def test_what_fits_is_shown_as_a_share_of_the_limit(estimate: Estimate) -> None:
    limited = replace(estimate, machine=replace(estimate.machine, rank_bytes=4 * estimate.memory.peak.total))
    assert "it fits (25% of " in table(limited)


def test_what_was_measured_here_is_shown_with_its_hours(estimate: Estimate) -> None:
    seen = Measured(1234.5, 99.0, 30.4, 3 << 29, "a chip")
    shown = table(replace(estimate, measured=seen, hours=Hours(2.0, 0.5, "measured on a chip")))
    assert "measured    1,234 tokens/s in 3 steps, 99 in a small sweep, on a chip; 30 s" in shown
    assert "torch reserved 1.50 GiB in a step" in shown
    assert "hours       2.00 of training without sweeps, measured on a chip\n            at most 0.50 for all" in shown


def test_on_a_gpu_the_peak_says_what_torch_reserves(estimate: Estimate) -> None:
    peak = estimate.memory.peak
    assert f"of that, torch reserves {size(peak.reserved)}, of which tensors take {size(peak.allocated)}" in table(
        estimate
    )


def test_the_price_of_what_confirms_is_shown(estimate: Estimate) -> None:
    (line,) = [line for line in table(estimate).splitlines() if line.startswith("confirm ")]
    assert "256 problems that no sweep sees, once" in line
    share = 3 * estimate.sweep.confirm_tokens * estimate.sweep_flops / estimate.sweep.tokens / estimate.flops
    assert f"together {share:.0%} of the FLOPs of training" in line
    assert not [
        line
        for line in table(replace(estimate, sweep=replace(estimate.sweep, confirm_problems=0))).splitlines()
        if line.startswith("confirm ")
    ]
