"""Units are split off by rule."""

from __future__ import annotations

import pytest

from data_prep.grading.units import split_unit


@pytest.mark.parametrize(
    ("answer", "value", "unit"),
    [
        (r"5 \text{ cm}", "5", "cm"),
        ("5 square meters", "5", "m"),
        (r"\frac{1}{2} \text{ inches}", r"\frac{1}{2}", "in"),
        (r"\$ 18.50", "18.50", "dollar"),
        (r"-\$3", "-3", "dollar"),
        (r"90^{\circ}", "90", "degree"),
        (r"5\%", r"5\%", "percent"),
        ("5m", "5m", ""),
        ("2s", "2s", ""),
        ("x", "x", ""),
        (r"\text{east}", r"\text{east}", ""),
        ("$5$", "5", ""),
        ("$5", "5", "dollar"),
    ],
)
def test_units(answer: str, value: str, unit: str) -> None:
    assert split_unit(answer) == (value, unit)
