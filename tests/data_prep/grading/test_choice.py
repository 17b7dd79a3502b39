"""Multiple choice, by hand: which letter is read, and where nothing is."""

from __future__ import annotations

import pytest

from data_prep.grading.choice import grade_choice
from data_prep.grading.rules import Grade

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
