"""Grading by hand: what is read as the answer, what counts as equal, and answers that are made to do harm."""

from __future__ import annotations

import re
import time
from typing import get_args

import pytest

from data_prep.grading.extraction import last_box
from data_prep.grading.grade import GRADERS, Grade, grade_all, grader_version
from data_prep.grading.rules import grade_choice, grade_exact, grade_integer
from recipes.suites import RowsSuite


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
        ("٧", "7", Grade(False, "", "no integer")),
    ],
)
def test_integer(text: str, gold: str, grade: Grade) -> None:
    assert grade_integer(text, gold) == grade


def test_a_number_of_many_digits_is_compared_whole() -> None:
    assert not grade_integer("1" + "0" * 500 + "7", "7").correct


HUGE = {
    "digits": "9" * 2_000_000,
    "commas": "1,111" * 400_000,
    "open boxes": r"\boxed{" * 300_000,
    "braces": "{" * 2_000_000,
    "nested": r"\boxed{" * 2000 + "}" * 2000,
    "cues": "answer " * 300_000,
    "letters": "answer: A or B, " * 100_000,
    "lines": "(A)\n" * 400_000,
    "faces": r"\text{" * 300_000,
    "spaces": "answer" + " " * 2_000_000,
    "odd": "\x00\ud800\u202e" * 1000,
}


@pytest.mark.parametrize("grader", ["exact", "integer", "choice"])
@pytest.mark.parametrize("kind", HUGE)
def test_huge_and_odd_answers_are_graded_at_once(grader: str, kind: str) -> None:
    started = time.perf_counter()
    (grade,) = grade_all([HUGE[kind]], ["J" if grader == "choice" else "7"], grader)
    assert not grade.correct
    assert len(grade.extracted) <= 400
    assert time.perf_counter() - started < 1


CHOICES = [
    *[
        (text, "B")
        for text in (
            r"\boxed{B}",
            r"\boxed{b}",
            r"\boxed{\text{B}}",
            r"\boxed{\mathrm{B}.}",
            r"\boxed{(B)}",
            r"\boxed{\textbf{(B)}\ 5}",
            r"\boxed{B. Paris}",
            r"so A, no \boxed{B}",
            "B",
            "(B)",
            "B.",
            "B. Paris",
            "(B) Paris",
            "answer: B",
            "The answer is (b).",
            "**Answer:** B",
            "Answer: **B**",
            "The correct answer is option B because A is wrong",
            "first I say the answer is A; no, the answer is B",
            "The answer is B, I think",
            "the answer is $\\text{B}$",
            "I have thought\nB",
            "it cannot be (A), so it is (B)",
            "the best choice is: B",
            "final answer\n\nB",
        )
    ],
    *[
        (text, None)
        for text in (
            "",
            "Both",
            "I do not know",
            "A car",
            r"\boxed{Paris}",
            r"\boxed{}",
            "the answer is Berlin",
            "The answer is I think",
            "7",
        )
    ],
    *[
        (text, "several")
        for text in ("answer: A or B", "The answer is A, B", r"\boxed{A, B}", r"\boxed{A \text{ and } B}")
    ],
]


@pytest.mark.parametrize(("text", "letter"), CHOICES)
def test_choice(text: str, letter: str | None) -> None:
    right, wrong = grade_choice(text, "(B)"), grade_choice(text, "C")
    assert right.correct is (letter == "B") and not wrong.correct
    reason = {"B": "equal", None: "no choice", "several": "several choices"}[letter]
    assert right.reason == reason
    assert wrong.extracted == right.extracted


def test_a_gold_choice_that_is_no_letter_is_named() -> None:
    assert grade_choice("B", "Paris") == Grade(False, "", "the gold answer cannot be read")


@pytest.mark.parametrize(
    ("grader", "version"), [("exact", "exact 2"), ("integer", "integer 3"), ("choice", "choice 1")]
)
def test_versions_of_the_rules(grader: str, version: str) -> None:
    assert grader_version(grader) == version


def test_the_version_of_math_names_what_decides() -> None:
    assert re.fullmatch(r"math 3, math-verify \S+, sympy \S+", grader_version("math"))


def test_every_grader_of_a_recipe_is_there() -> None:
    named = RowsSuite.model_fields["grader"].annotation
    assert {*get_args(named)} - {"auto"} | {"reasoning_gym"} == set(GRADERS)
