"""The graders of a recipe: by name, with versions, and whatever is put into them."""

from __future__ import annotations

import re
import time
from typing import get_args

import pytest

from data_prep.grading.grade import GRADERS, grade_all, grader_version
from recipes.suites import RowsSuite

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
    started = time.process_time()
    (grade,) = grade_all([HUGE[kind]], ["J" if grader == "choice" else "7"], grader)
    assert not grade.correct
    assert len(grade.extracted) <= 400
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("grader", "version"), [("exact", "exact 4"), ("integer", "integer 5"), ("choice", "choice 3")]
)
def test_versions_of_the_rules(grader: str, version: str) -> None:
    assert grader_version(grader) == version


def test_the_version_of_math_names_what_decides() -> None:
    assert re.fullmatch(r"math 5, math-verify \S+, sympy \S+", grader_version("math"))


def test_every_grader_of_a_recipe_is_there() -> None:
    named = RowsSuite.model_fields["grader"].annotation
    assert {*get_args(named)} - {"auto"} | {"reasoning_gym"} == set(GRADERS)


def test_no_answers() -> None:
    assert grade_all([], [], "math") == []
