"""Finding the answer in a text, by hand."""

from __future__ import annotations

import pytest

from data_prep.grading.extraction import (
    boxed,
    last_box,
    short_answer,
    stated_formula,
    stated_number,
    tagged,
    without_denials,
)


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
        (r"\boxed {7}", "7"),
        (r"\fbox{7}", "7"),
        (r"\boxed 7$", "7"),
        (r"\boxed7.", "7"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\boxed{\left\{1,2\right.}", r"\left\{1,2\right."),
        (r"\boxedx{7}", None),
        ("boxed{7}", None),
        (r"\boxed{7", None),
        ("", None),
    ],
)
def test_last_box(text: str, box: str | None) -> None:
    assert last_box(text) == box


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"$a=\boxed{2}$ and $b=\boxed{6}$", "2, 6"),
        (r"\boxed{2}, \boxed{4} or \boxed{6}", "2, 4, 6"),
        (r"\boxed{6}, which is \boxed{6}", "6"),
        (r"\boxed{6} and \boxed{6}", "6"),
        ("(a) \\boxed{2}\n(b) \\boxed{6}", "2, 6"),
        (r"first \boxed{2}. No: \boxed{6}", "6"),
        (r"\boxed{2}, so the whole is \boxed{6}", "6"),
        ("none", None),
    ],
)
def test_joined_boxes_are_one_answer_in_parts(text: str, answer: str | None) -> None:
    assert boxed(text) == answer


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("It is not 4, it is 9.", "It is 9."),
        ("It isn't 4 but 9.", "It is 9."),
        ("It cannot be 4.", "It ."),
        ("9, not 4", "9,"),
        ("9 rather than 4", "9"),
        ("4 is not the answer. 9 is.", ". 9 is."),
        ("The answer is not A but C.", "The answer is C."),
        ("答案不是4,而是9", "答案9"),
        ("4ではなく9です", "9です"),
        ("It is neither 4 nor 5, but 9.", "It is 9."),
        ("It is no longer 4 but 9.", "It is 9."),
        ("It is **not** 4, it is 9.", "It is 9."),
        (r"It is not \frac{1}{4}, it is 9.", "It is 9."),
        ("It is _not_ 4, it is 9.", "It is 9."),
        ("It is $not$ 4, it is 9.", "It is 9."),
        (r"It is \textbf{not} 4, it is 9.", "It is 9."),
        ("It was thought to be 4, but is 9.", "It was, but is 9."),
        ("We supposed that it was 4, but it is 9.", "We 9."),
        ("It is expected to be 4.", "It is expected to be 4."),
        ("a_not_ 4", "a_not_ 4"),
        ("There are no 4 here", "There are no 4 here"),
        ("nothing 4", "nothing 4"),
    ],
)
def test_what_an_answer_is_not_goes(text: str, left: str) -> None:
    assert "".join(without_denials(text).split()) == "".join(left.split())


def is_number(formula: str) -> bool:
    return formula.replace(",", "").replace(" ", "").lstrip("-").isdecimal()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("30 % of $40,000, which comes to $12,000.", "$12,000"),
        ("W = 66,000 / 6 = 11,000. So they made 11,000 cups, W.", "11,000"),
        (r"\[ K = 19 - 7 = 12 \] So K is known.", "12"),
        ("The answer is 12 cm, since 3 of them fit.", "12"),
        ("The answer to it is 12. I tried 3 ways.", "12"),
        ("Answer: $x = 12$ and so on", "12"),
        ("#### 12\nand 3", "12"),
        ("The answer is 7. Wait, it is 12.", "12"),
        ("so 12 m^2", "12"),
        ("so 12 $m^2$", "12"),
        ("The answer is $x$", None),
        ("pages 3-12", "3-12"),
        ("from -3 to -12", "-12"),
        ("H2O", None),
        ("it makes 4 500.", "4 500"),
        ("it makes 4,5.", "4,5"),
        ("the pair (4,5)", "5"),
        ("<answer>12</answer> 3", "12"),
        ("", None),
    ],
)
def test_the_number_that_words_give(text: str, number: str | None) -> None:
    assert stated_number(text, is_number) == number


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("The answer is $y+2$.", "y+2"),
        ("The answer is not $y+1$ but $y+2$.", "y+2"),
        ("So $a=1$ and $b=2$.", "a=1, b=2"),
        ("First $a=1$. Then $b=2$.", "b=2"),
        (r"Thus \(z\).", "z"),
        ("The answer is Lisbon.", "Lisbon"),
        ("The answer is not Porto, it is Lisbon.", "Lisbon"),
        ("<answer> Lisbon </answer>.", "Lisbon"),
        ("y+2", "y+2"),
        ("long " * 100, None),
    ],
)
def test_the_formula_that_words_give(text: str, formula: str | None) -> None:
    assert stated_formula(text) == formula


def test_the_last_tag_counts() -> None:
    assert tagged("<answer>1</answer><answer> 2 </answer>") == "2" and tagged("<answer>1") is None
