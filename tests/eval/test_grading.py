"""Grading by hand: what is read as the answer, what counts as equal, and answers that are made to do harm."""

from __future__ import annotations

import time

import pytest

from eval.grading import Grade, grade_all, grade_exact, grade_integer, grader_version, last_box


@pytest.mark.parametrize(("text", "box"), [
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
])
def test_last_box(text: str, box: str | None) -> None:
    assert last_box(text) == box


@pytest.mark.parametrize(("text", "gold", "grade"), [
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
])
def test_exact(text: str, gold: str, grade: Grade) -> None:
    assert grade_exact(text, gold) == grade


@pytest.mark.parametrize(("text", "gold", "grade"), [
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
    ("٧", "7", Grade(False, "", "no integer")),
])
def test_integer(text: str, gold: str, grade: Grade) -> None:
    assert grade_integer(text, gold) == grade


def test_a_number_of_many_digits_is_compared_whole() -> None:
    assert not grade_integer("1" + "0" * 500 + "7", "7").correct


HUGE = {
    "digits": "9" * 2_000_000, "commas": "1,111" * 400_000, "open boxes": r"\boxed{" * 300_000,
    "braces": "{" * 2_000_000, "nested": r"\boxed{" * 2000 + "}" * 2000, "cues": "answer " * 300_000,
    "spaces": "answer" + " " * 2_000_000, "odd": "\x00\ud800\u202e" * 1000}


@pytest.mark.parametrize("grader", ["exact", "integer"])
@pytest.mark.parametrize("kind", HUGE)
def test_huge_and_odd_answers_are_graded_at_once(grader: str, kind: str) -> None:
    started = time.perf_counter()
    (grade,) = grade_all([HUGE[kind]], ["7"], grader)
    assert not grade.correct
    assert len(grade.extracted) <= 400
    assert time.perf_counter() - started < 1


MATH = [
    (r"so \boxed{\frac{1}{2}}", "0.5", True),
    (r"\boxed{1} then \boxed{2}", "2", True),
    (r"\boxed{1} then \boxed{2}", "1", False),
    (r"\boxed{x^2 + 2x + 1}", "(x+1)^2", True),
    (r"\boxed{2\sqrt{3}}", r"\sqrt{12}", True),
    (r"\boxed{\{1, 2\}}", r"\{2,1\}", True),
    ("answer 7", "7", True),
    ("", "7", False),
    (r"\boxed{", "7", False),
    ("(" * 5000 + "7" + ")" * 5000, "8", False),
    (r"\boxed{7}", "", False),
]


@pytest.fixture(scope="module")
def math_grades() -> list[Grade]:
    return grade_all([text for text, _, _ in MATH], [gold for _, gold, _ in MATH], "math")


@pytest.mark.parametrize("i", range(len(MATH)), ids=lambda i: repr(MATH[i][:2])[:40])
def test_math(math_grades: list[Grade], i: int) -> None:
    assert math_grades[i].correct is MATH[i][2], math_grades[i]


def test_math_says_where_there_is_no_answer(math_grades: list[Grade]) -> None:
    assert math_grades[7] == Grade(False, "", "no answer")


def test_math_says_where_the_gold_answer_cannot_be_read(math_grades: list[Grade]) -> None:
    assert math_grades[-1].reason == "the gold answer cannot be read"


def test_no_math_answers() -> None:
    assert grade_all([], [], "math") == []


@pytest.mark.slow
def test_a_hostile_answer_is_given_up_and_the_others_are_graded() -> None:
    started = time.perf_counter()
    hostile, good = grade_all([r"\boxed{9^{9^{9^{9}}}}", r"\boxed{7}"], ["3", "7"], "math")
    assert hostile == Grade(False, "", "grader gave up: TimeoutError")
    assert good.correct
    assert time.perf_counter() - started < 20


@pytest.mark.parametrize(("grader", "version"), [("exact", "exact 1"), ("integer", "integer 1")])
def test_versions_of_the_rules(grader: str, version: str) -> None:
    assert grader_version(grader) == version


def test_version_of_math_names_its_library() -> None:
    assert grader_version("math").startswith("math-verify 0.")
