"""Units are split off by rule."""

from __future__ import annotations

import pytest

from data_prep.grading.units import split_unit, units_differ


@pytest.mark.parametrize(
    ("answer", "value", "unit"),
    [
        (r"5 \text{ cm}", "5", "cm"),
        ("5 square meters", "5", "m ^2"),
        (r"\frac{1}{2} \text{ inches}", r"\frac{1}{2}", "in"),
        (r"\$ 18.50", "18.50", "dollar"),
        (r"-\$3", "-3", "dollar"),
        (r"90^{\circ}", "90", "degree"),
        (r"5\%", r"5\%", "percent"),
        ("5m", "5m", ""),
        ("2s", "2s", ""),
        ("x", "x", ""),
        (r"\text{east}", r"\text{east}", ""),
        ("$5", "5", "dollar"),
        ("€7", "7", "euro"),
        ("-£7", "-7", "gbp"),
        ("Rs. 7", "7", "rupee"),
        ("7元", "7", "yuan"),
        ("7 个", "7", "个"),
        ("7 рублей", "7", "ruble"),
        ("7 km/h", "7", "km / h"),
        ("7 mph", "7", "mi / h"),
        (r"7 \text{ meters per second}", "7", "m / s"),
        ("7 green apples", "7", "green apple"),
        ("7 million", "7000000", ""),
        ("7 million dollars", "7000000", "dollar"),
        ("7万元", "70000", "yuan"),
        ("7.5 thousand", "7500", ""),
        ("7 pct", r"7\%", "percent"),
        (r"7^\circ \text{C}", "7", "degree c"),
        ("7 p.m.", "7", "pm"),
        ("7ab", "7ab", ""),
        ("7 xyz", "7 xyz", ""),
        ("7 c/d", "7 c/d", ""),
        ("7 or 8", "7 or 8", ""),
        ("7 squared", "7 squared", ""),
        ("7 dozen", "7 dozen", ""),
        (r"7 \sin x", r"7 \sin x", ""),
    ],
)
def test_units(answer: str, value: str, unit: str) -> None:
    assert split_unit(answer) == (value, unit)


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ("cm", "cm", False),
        ("cm", "", False),
        ("cm", "m", True),
        ("km / h", "m / s", True),
        ("km / h", "km", True),
        ("apple", "green apple", False),
        ("apple", "pear", True),
        ("am", "pm", True),
        ("yuan", "dollar", True),
        ("cm ^2", "cm ^3", True),
        ("cm ^2", "cm ^2", False),
        ("cm", "cm ^2", False),
        ("m ^2", "cm ^2", True),
    ],
)
def test_units_differ_where_both_are_named(one: str, other: str, differ: bool) -> None:
    assert units_differ(one, other) is units_differ(other, one) is differ


@pytest.mark.parametrize(
    ("answer", "unit"),
    [
        (r"6 \text{ cm}^2", "cm ^2"),
        ("6 square meters", "m ^2"),
        ("6 sq ft", "ft ^2"),
        (r"6\text{ cubic inches}", "in ^3"),
        (r"6\text{ m/s}^2", "m / s ^2"),
        (r"6\text{ kg m}^2", "kg m ^2"),
    ],
)
def test_a_power_belongs_to_the_unit(answer: str, unit: str) -> None:
    assert split_unit(answer) == ("6", unit)
