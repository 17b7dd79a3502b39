"""Grading by rule, by hand: what is read as the answer, and what counts as equal."""

from __future__ import annotations

import pytest

from data_prep.grading.rules import Grade, grade_exact, grade_integer


@pytest.mark.parametrize(
    ("text", "gold", "grade"),
    [
        ("answer 7", "7", Grade(True, "7", "equal")),
        ("The answer is: v3.", "v3", Grade(True, "v3", "equal")),
        ("answer island", "island", Grade(True, "island", "equal")),
        ("Answer = Paris", "paris", Grade(True, "Paris", "equal")),
        ("v3", "v3", Grade(True, "v3", "equal")),
        ("answer  new   york", "New York", Grade(True, "new york", "equal")),
        (r"answer 7 \boxed{8}", "8", Grade(True, "8", "equal")),
        ("answer 70", "7", Grade(False, "70", "differs")),
        ("The answer is not Rome but Oslo.", "Rome", Grade(False, "not Rome but Oslo", "differs")),
        ("answer ｖ３", "v3", Grade(True, "ｖ３", "equal")),
        ("answer 7 7", "7", Grade(False, "7 7", "differs")),
        ("answer", "7", Grade(False, "", "no answer")),
        ("", "7", Grade(False, "", "no answer")),
    ],
)
def test_exact(text: str, gold: str, grade: Grade) -> None:
    assert grade_exact(text, gold) == grade


@pytest.mark.parametrize(
    ("text", "gold", "grade"),
    [
        ("so 3 and 4 make 7", "7", Grade(True, "7", "equal")),
        ("answer 7.", "7", Grade(True, "7", "equal")),
        ("033", "33", Grade(True, "033", "equal")),
        ("33", "033", Grade(True, "33", "equal")),
        ("-7", "-7", Grade(True, "-7", "equal")),
        ("-7", "7", Grade(False, "-7", "differs")),
        ("-0", "0", Grade(True, "-0", "equal")),
        ("1,234,567", "1234567", Grade(True, "1234567", "equal")),
        ("1234", "1,234", Grade(True, "1234", "equal")),
        ("(3,4)", "34", Grade(False, "4", "differs")),
        ("7.00", "7", Grade(True, "7.00", "equal")),
        ("10.5", "5", Grade(False, "10.5", "differs")),
        (r"\boxed{5} of 9", "5", Grade(True, "5", "equal")),
        (r"\boxed{} or 9", "9", Grade(False, "", "no integer")),
        ("none", "7", Grade(False, "", "no integer")),
        ("", "7", Grade(False, "", "no integer")),
        (r"\boxed{7\text{ cm}}", "7", Grade(True, "7", "equal")),
        (r"\boxed{\$7.00}", "7", Grade(True, "7.00", "equal")),
        (r"\boxed{7^\circ}", "7", Grade(True, "7", "equal")),
        (r"\boxed{m+n = 7}", "7", Grade(True, "7", "equal")),
        (r"\boxed{1{,}234}", "1234", Grade(True, "1234", "equal")),
        (r"\boxed{11,\! 111}", "11111", Grade(True, "11111", "equal")),
        (r"\boxed{−7}", "-7", Grade(True, "-7", "equal")),
        (r"\boxed{7th}", "7", Grade(True, "7", "equal")),
        (r"\boxed{\frac{1}{7}}", "7", Grade(False, r"\frac{1}{7}", "no integer")),
        (r"\boxed{3, 7}", "7", Grade(False, "3, 7", "no integer")),
        (r"\boxed{10^7}", "7", Grade(False, "10^7", "no integer")),
        (r"\boxed{2x}", "2", Grade(False, "2x", "no integer")),
        ("that is 1/7", "7", Grade(False, "", "no integer")),
        ("so\n#### 7\n\nNext: 3 apples and 5", "7", Grade(True, "7", "equal")),
        ("٧", "7", Grade(True, "7", "equal")),
        ("30 % of $40,000, which comes to $12,000.", "12000", Grade(True, "12000", "equal")),
        ("The answer is not 6, it is 11.", "11", Grade(True, "11", "equal")),
        ("The answer is not 6, it is 11.", "6", Grade(False, "11", "differs")),
        ("The answer is 7. I tried 3 ways.", "7", Grade(True, "7", "equal")),
        (r"\[ A = 21 - 6 = 15 \] Thus, he is 15 years old.", "15", Grade(True, "15", "equal")),
        ("It covers 7 cm^2.", "7", Grade(True, "7", "equal")),
        (r"\boxed 7", "7", Grade(True, "7", "equal")),
        (r"\fbox{７}", "7", Grade(True, "7", "equal")),
        (r"\boxed{7 650 000}", "7650000", Grade(True, "7650000", "equal")),
        (r"\boxed{7元}", "7", Grade(True, "7", "equal")),
        (r"\boxed{7 men}", "7", Grade(True, "7", "equal")),
        (r"\boxed{7 million}", "7000000", Grade(True, "7000000", "equal")),
        (r"\boxed{7 million}", "7", Grade(False, "7000000", "differs")),
        (r"\boxed{7 or so}", "7", Grade(False, "7 or so", "no integer")),
        (r"\boxed{7 x}", "7", Grade(False, "7 x", "no integer")),
        (r"\boxed{2} and \boxed{7}", "7", Grade(False, "2, 7", "no integer")),
    ],
)
def test_integer(text: str, gold: str, grade: Grade) -> None:
    assert grade_integer(text, gold) == grade


def test_a_number_of_many_digits_is_compared_whole() -> None:
    assert not grade_integer("1" + "0" * 500 + "7", "7").correct
