"""Which measured run speaks for a run, by hand."""

from __future__ import annotations

import pytest

from train.plan.speeds import NEAR, SPEEDS, MeasuredSpeed, speed_of

FULL = MeasuredSpeed("H100", False, 3e9, 30_000, "full")
LARGE = MeasuredSpeed("H100", False, 48e9, 3_000, "large")
LORA = MeasuredSpeed("H100", True, 4e9, 9_000, "LoRA")
ROWS = (FULL, LARGE, LORA)


@pytest.mark.parametrize(
    ("card", "adapter", "flops_per_token", "expected"),
    [
        ("NVIDIA H100 80GB HBM3", False, 3.4e9, FULL),
        ("NVIDIA H100 80GB HBM3", False, 13e9, LARGE),  # a factor of 3.7 from one, of 4.3 from the other
        ("H100", True, 3.4e9, LORA),
        ("H100", True, 4e9 * NEAR * 1.01, None),
        ("H100", True, 4e9 / NEAR / 1.01, None),
        ("NVIDIA H100 PCIe", False, 3e9, None),
        ("NVIDIA H100 NVL", False, 3e9, None),
        ("NVIDIA H200", False, 3e9, None),
        ("", False, 3e9, None),
    ],
)
def test_the_nearest_run_of_the_card_and_the_kind(
    card: str, adapter: bool, flops_per_token: float, expected: MeasuredSpeed | None
) -> None:
    assert speed_of(card, adapter, flops_per_token, ROWS) == expected


def test_every_row_says_where_it_was_measured() -> None:
    assert SPEEDS and all(row.card in row.source and "commit" in row.source for row in SPEEDS)


def test_rows_are_below_their_chips_peak() -> None:
    assert all(row.flops_per_second < 989e12 for row in SPEEDS)
