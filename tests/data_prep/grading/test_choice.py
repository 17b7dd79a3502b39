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
            r"\boxed{\text{Option B}}",
            r"\boxed{\text{Answer: (B)}}",
            r"\boxed{B: Paris}",
            r"\fbox{B}",
            r"\boxed B",
            r"\boxed{Ｂ}",
            r"\boxed{Ⓑ}",
            "<answer>B</answer>",
            "<answer>Option B</answer>",
            r"The root is \boxed{x=3}. **Answer: B**",
            r"\boxed{3\text{ m}} So the correct option is (B).",
            "\\boxed{x=3}\nB",
            r"\boxed{B} because \boxed{x=3}",
            "The answer is not A but B.",
            "The answer isn't A, it's B.",
            "A is not the answer. The answer is B.",
            "答案：B",
            "故选B。",
            "选项B是正确的",
            "정답: B",
            "Ответ: Б",
            "الإجابة: ب",
            "答えはイ",
            "उत्तर: ख",
            "Option B is correct.",
            "I choose B.",
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
            "The answer is not B.",
            "B is not the answer.",
            "Ответ: В",  # the third letter of its script, and like a B
            r"\boxed{x=3} as in (B) above",
            "if B is correct, then so is the rest",
            r"\boxed{\text{Option Berlin}}",
            "选择北京",
            "7",
        )
    ],
    *[
        (text, "several")
        for text in (
            "answer: A or B",
            "The answer is A, B",
            r"\boxed{A, B}",
            r"\boxed{A} and \boxed{B}",
            "答案：A或B",
            r"\boxed{\text{Options A and B}}",
            r"\boxed{A \text{ and } B}",
        )
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


@pytest.mark.parametrize("gold", ["C", "c", "(C)", "C.", r"\text{C}", "Ｃ", "Γ", "в", "甲"])
def test_gold_letters(gold: str) -> None:
    right = {"甲": "A"}.get(gold, "C")
    grade = grade_choice(f"answer: {right}", gold)
    assert grade.correct is (gold != "в")
