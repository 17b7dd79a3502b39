"""Mathematics: what counts as equal, and that both ways to a verdict agree."""

from __future__ import annotations

import pytest

from data_prep.grading.grade import grade_all
from data_prep.grading.mathematics import settle, verify_math
from data_prep.grading.pool import GradingPool

EQUAL = [  # (answer in the box, gold)
    (r"\frac{1}{2}", "0.5"),
    (r"\dfrac{1}{2}", r"\frac12"),
    ("x^2 + 2x + 1", "(x+1)^2"),
    (r"2\sqrt{3}", r"\sqrt{12}"),
    (r"\{1, 2\}", r"\{2,1\}"),
    ("1 and -2", "-2, 1"),
    ("x = 5", "5"),
    ("5", "x=5"),
    ("7.0", "7"),
    ("07", "7"),
    (r"\text{East}", r"\text{east}"),
    ("True", "true"),
    ("C", r"\text{(C)}"),
    (r"10\,080", r"10,\!080"),
    ("10080", "10,080"),
    (r"\left(2, \infty\right)", r"(2,\infty)"),
    (r"2 \le x \le 7", "[2,7]"),
    (r"2 < x \leq 7", "(2,7]"),
    (r"(3,\infty) \cup (-\infty,2)", r"(-\infty,2)\cup(3,\infty)"),
    (r"x \in [-2,7]", "[-2,7]"),
    (r"\begin{bmatrix} 1 \\ 2 \end{bmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    (r"3 + \sqrt2, 3 - \sqrt2", r"3 \pm \sqrt{2}"),
    *[
        (answer, "5")
        for answer in (
            "5 cm",
            r"5\text{ cm}",
            r"5 \text{ cm}^2",
            r"5\,\mathrm{cm}",
            "5 dollars",
            "5th",
            r"5^{\mathrm{th}} \text{ grade}",
            "5°",
            r"5^\circ",
            r"\$5",
            r"5\%",
            "5 degrees",
        )
    ],
    *[("5", gold) for gold in (r"5\text{ cm}", "5 cm", r"5^\circ", r"\$5", r"5\%", r"5 \mbox{ inches}^2")],
    (r"5\text{ cm}", r"5 \mbox{ centimeters}"),
    (r"5 \text{ percent}", r"5\%"),
    ("0.5", r"50\%"),
    (r"50\%", r"\frac{1}{2}"),
]
DIFFERENT = [
    (r"[2,\infty)", r"(2,\infty)"),
    (r"2 < x < 7", "[2,7]"),
    ("(3,2)", "(2,3)"),
    ("2,3", "2,3,4"),
    ("0.333", r"\frac{1}{3}"),
    ("3.14159", r"\pi"),
    ("0.5", "50"),
    (r"5\text{ m}", r"5\text{ cm}"),
    (r"5 \text{ cents}", r"\$5"),
    ("-5", "5"),
    ("west", "east"),
    (r"\begin{pmatrix} 1 & 2 \end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    ("x", "y"),
    ("2 3", "23"),
]


@pytest.mark.parametrize(
    ("answer", "gold", "equal"), [(*pair, True) for pair in EQUAL] + [(*pair, False) for pair in DIFFERENT]
)
def test_math(answer: str, gold: str, equal: bool, pool: GradingPool) -> None:
    (grade,) = grade_all([f"so \\boxed{{{answer}}}."], [gold], "math", pool)
    assert grade.correct is equal, grade
    assert grade.extracted


@pytest.mark.parametrize(("answer", "gold"), EQUAL + DIFFERENT)
def test_a_shortcut_never_changes_a_verdict(answer: str, gold: str) -> None:
    for text in (f"\\boxed{{{answer}}}", f"\\boxed{{{gold}}}"):
        quick = settle(text, gold)
        assert quick is None or quick.correct is verify_math(text, gold)[0]


def test_the_last_box_alone_is_read(pool: GradingPool) -> None:
    grades = grade_all(
        [r"\boxed{1} then \boxed{2}"] * 2 + ["answer 7", "", r"\boxed{", r"\boxed{4", r"\boxed{}"],
        ["2", "1", "7", "7", "7", "4", "7"],
        "math",
        pool,
    )
    assert [grade.correct for grade in grades] == [True, False, True, False, False, False, False]
    assert [grade.reason for grade in grades[3:]] == ["no answer"] * 4


def test_a_gold_answer_that_is_empty_is_named(pool: GradingPool) -> None:
    assert grade_all([r"\boxed{7}"], [" "], "math", pool)[0].reason == "the gold answer cannot be read"
