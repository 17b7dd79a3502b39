"""Finding the answer in a text, by hand."""

from __future__ import annotations

import pytest

from data_prep.grading.extraction import last_box, short_answer
from data_prep.grading.numerals import join_groups as join_thousands
from data_prep.grading.numerals import plain_number


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"the answer is 3, so \boxed{ 7 } .", "7"),
        ("The Answer: = is 12 apples.", "12 apples"),
        ("seven\n  or so.", "seven or so"),
        ("answer", ""),
    ],
)
def test_the_short_answer_is_the_box_else_what_follows_the_word_else_all(text: str, answer: str) -> None:
    assert short_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        (r"11,\!111", "11111"),
        ("1{,}234", "1234"),
        (r"1\,234\,567", "1234567"),
        (r"1\,23", r"1\,23"),
        ("1,234", "1,234"),
    ],
)
def test_latex_space_between_groups_of_three_digits_goes(text: str, joined: str) -> None:
    assert join_thousands(text) == joined


@pytest.mark.parametrize(
    ("number", "plain"),
    [("007", "7"), ("-0", "0"), ("1,234.500", "1234.5"), ("-3.0", "-3"), ("0.50", "0.5"), ("000", "0")],
)
def test_a_number_has_one_spelling(number: str, plain: str) -> None:
    assert plain_number(number) == plain


@pytest.mark.parametrize(
    ("text", "box"),
    [
        (r"\boxed{7}", "7"),
        (r"\boxed{1} and \boxed{2}", "2"),
        (r"\boxed{\frac{1}{\sqrt{2}}}", r"\frac{1}{\sqrt{2}}"),
        (r"\boxed{ \boxed{3} + 1 }", "3"),
        (r"\boxed{1} then \boxed{2", "1"),
        (r"{ \boxed{4} }", "4"),
        (r"} \boxed{5}", "5"),
        (r"\boxed{}", ""),
        ("boxed{7}", None),
        (r"\boxed{7", None),
        ("", None),
    ],
)
def test_last_box(text: str, box: str | None) -> None:
    assert last_box(text) == box
