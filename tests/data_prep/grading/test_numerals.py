"""Numbers as they are written, by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest

from data_prep.grading.numerals import (
    as_text,
    join_groups,
    plain_number,
    read_number,
    same_number,
    spell_powers,
    split_base,
)


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        (r"11,\!111", "11111"),
        ("1{,}234", "1234"),
        (r"1\,234\,567", "1234567"),
        (r"1\,23", r"1\,23"),
        ("1,234", "1,234"),
        ("9 870 000", "9870000"),
        ("9 870 00", "9 870 00"),
        ("98 7", "98 7"),
        ("1, 234 567", "1, 234567"),
        ("6'500'000", "6500000"),
        ("6.500.000", "6500000"),
        ("6.500", "6.500"),
        ("6.500,25", "6500.25"),
        ("0{,}25", "0.25"),
        ("(3,4)", "(3,4)"),
    ],
)
def test_groups_of_digits_are_joined_where_they_can_be_nothing_else(text: str, joined: str) -> None:
    assert join_groups(text) == joined


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", Fraction(7)),
        ("-0.25", Fraction(-1, 4)),
        (".5", Fraction(1, 2)),
        ("12,500", Fraction(12500)),
        ("12,50,000", Fraction(1250000)),
        ("3e-5", Fraction(3, 100000)),
        (r"4 \times 10^{3}", Fraction(4000)),
        (r"4\cdot10^3", Fraction(4000)),
        ("10^4", Fraction(10000)),
        (r"\frac{6}{8}", Fraction(3, 4)),
        (r"-\frac{1}{2}", Fraction(-1, 2)),
        ("6/8", Fraction(3, 4)),
        (r"1\frac{1}{2}", Fraction(3, 2)),
        ("1/0", None),
        ("1e999999", None),
        ("2 3", None),
        ("2x", None),
        ("1,23", None),
        ("12:30", None),
        ("7 apples", None),
        ("", None),
    ],
)
def test_a_number_is_read_whole_or_not_at_all(text: str, value: Fraction | None) -> None:
    number = read_number(text)
    assert (number.value if number else None) == value


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("0.250", r"\frac{1}{4}", True),
        ("0.666667", r"\frac{2}{3}", True),
        ("0.666666", r"\frac{2}{3}", False),
        ("0.6667", r"\frac{2}{3}", False),
        ("3e-9", "4e-9", False),
        ("3e-9", "0.000000003", True),
        ("9.10938e-31", "9.1093837e-31", True),
        ("9.10938e-31", "9.10948e-31", False),
        ("7654321", "7654321.2", False),
        ("1.23457e8", "123456789", False),
        ("12345.67", "12345.671", False),
        ("0.1", "0.1000000000000000055", True),
        ("5e20", "500000000000000000000", True),
        ("5e20", "500000000000000000001", False),
    ],
)
def test_exact_where_both_are_exact_and_relative_otherwise(one: str, other: str, same: bool) -> None:
    first, second = read_number(one), read_number(other)
    assert first is not None and second is not None
    assert same_number(first, second) is same_number(second, first) is same


def test_powers_of_ten_are_spelt_out_but_not_those_that_may_be_eulers_number() -> None:
    assert spell_powers("6.1e-7") == r"6.1 \cdot 10^{-7}"
    assert spell_powers("5e-12") == r"5 \cdot 10^{-12}"
    assert spell_powers("5e-1") == "5e-1"
    assert spell_powers("2e + 3") == "2e + 3"


@pytest.mark.parametrize(
    ("text", "digits_and_base"),
    [
        ("212_3", ("212", 3)),
        ("0212_{3}", ("212", 3)),
        ("(212)_{three}", ("212", 3)),
        ("212 base 3", ("212", 3)),
        ("7B_{16}", ("7b", 16)),
        ("212_2", None),
        ("x_3", None),
        ("a_{12}", None),
        ("212", None),
    ],
)
def test_numerals_with_a_base(text: str, digits_and_base: tuple[str, int] | None) -> None:
    assert split_base(text) == digits_and_base


@pytest.mark.parametrize(
    ("number", "plain"),
    [("007", "7"), ("-0", "0"), ("1,234.500", "1234.5"), ("-3.0", "-3"), ("0.50", "0.5"), ("000", "0")],
)
def test_a_number_has_one_spelling(number: str, plain: str) -> None:
    assert plain_number(number) == plain


@pytest.mark.parametrize(
    ("number", "text"),
    [(27.0, "27"), (27, "27"), (1e-07, "0.0000001"), (-2.5, "-2.5"), (1e22, "10000000000000000000000"), (0.1, "0.1")],
)
def test_a_number_of_a_file_is_written_as_by_hand(number: float, text: str) -> None:
    assert as_text(number) == text


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_is_not_finite_is_no_number(number: float) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        as_text(number)
