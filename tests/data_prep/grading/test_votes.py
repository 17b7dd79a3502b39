"""Which answers are one candidate."""

from __future__ import annotations

import pytest

from data_prep.grading.votes import canonical


@pytest.mark.parametrize(
    ("grader", "spellings"),
    [
        ("math", [r"\frac34", r"\dfrac{3}{4}", "0.75", "3/4", r"75\%", "¾", "0.750"]),
        ("math", ["1,200", "1200", r"1\,200", "1200.0", "1200 dollars", r"\$1200", "1.2e3"]),
        ("math", ["x>5", "5<x", r"(5,\infty)", r"\left(5, \infty\right)"]),
        ("math", [r"\text{East}", "east", "EAST"]),
        ("math", [r"\sqrt11", r"\sqrt{11}", "√11"]),
        ("integer", ["012", "12", "12.0", "１２"]),
        ("choice", ["B", "b", "Ｂ"]),
        ("exact", ["New  York", "new york"]),
    ],
)
def test_one_candidate(grader: str, spellings: list[str]) -> None:
    assert len({canonical(spelling, grader) for spelling in spellings}) == 1


@pytest.mark.parametrize(
    ("grader", "answers"),
    [
        ("math", ["0.75", "0.7500001", "75", "-0.75", "x", "2x", ""]),
        ("math", ["x>5", r"x \ge 5", "x<5", "5"]),
        ("math", ["3,4", "(3,4)", "[3,4]", "34"]),
        ("math", ["1e-9", "2e-9", "0"]),
        ("integer", ["12", "-12", "1.2", "120"]),
        ("choice", ["A", "B", "A, B", ""]),
    ],
)
def test_several_candidates(grader: str, answers: list[str]) -> None:
    assert len({canonical(answer, grader) for answer in answers}) == len(answers)


def test_no_answer_is_no_candidate() -> None:
    assert {canonical("", grader) for grader in ("math", "integer", "choice", "exact")} == {""}
