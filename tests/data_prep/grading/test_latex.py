"""One spelling for LaTeX."""

from __future__ import annotations

import pytest

from data_prep.grading.latex import are_words, same_words, spelling, tidy, unwrap


@pytest.mark.parametrize(
    ("answer", "tidied"),
    [
        (r"\frac34", r"\frac{3}{4}"),
        (r"\dfrac 34", r"\frac{3}{4}"),
        (r"\frac3{4}", r"\frac{3}{4}"),
        (r"\tfrac{\sqrt7}9", r"\frac{\sqrt{7}}{9}"),
        (r"\frac{13}15", r"\frac{13}{15}"),
        (r"\binom72", r"\binom{7}{2}"),
        (r"\color{red}x", "x"),
        (r"\begin{aligned}x\end{aligned}", "x"),
        (r"\frac\pi6", r"\frac{\pi}{6}"),
        (r"\sqrt23", r"\sqrt{23}"),
        (r"\sqrt[4]81", r"\sqrt[4]{81}"),
        (r"\sqrt{2}3", r"\sqrt{2}3"),
        (r"\left( 1,\, 2 \right)", "( 1, 2 )"),
        (r"$\displaystyle x$", "x"),
        (r"\varnothing", r"\emptyset"),
        (r"\{ \}", r"\emptyset"),
        (r"\{0\}", r"\{0\}"),
        (r"\langle4,5\rangle", "(4,5)"),
        (r"1,2,\dots,n", r"1,2,\ldots,n"),
        ("1,2,...,n", r"1,2,\ldots ,n"),
        (r"x \leqslant 3", r"x \le 3"),
        (r"81,\!\! 000", r"81, 000"),
        (r"81,\! 000", "81000"),
        (r"a \\ b", r"a \\ b"),
        ("7.", "7"),
    ],
)
def test_what_sets_type_goes_and_short_hands_are_written_out(answer: str, tidied: str) -> None:
    assert tidy(answer) == tidied


def test_faces_are_unwrapped_two_deep() -> None:
    assert unwrap(r"\textbf{\text{B}} \mathrm{c}").split() == ["B", "c"]


def test_spellings_differ_in_no_more_than_blanks_and_faces() -> None:
    assert spelling(tidy(r"\text{ x } \ge 4 \pi r")) == spelling(tidy(r"x\ge4\pi r"))
    assert spelling("2 3") != spelling("23")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (r"\text{north}", True),
        ("Evelyn", True),
        ("dog", True),
        ("no answer", True),
        ("偶数", True),
        ("xy", False),
        ("abc", False),
        ("2x", False),
        (r"\sin x", False),
    ],
)
def test_words_are_told_from_products(answer: str, words: bool) -> None:
    assert are_words(answer) is words


def test_case_does_not_tell_words_apart() -> None:
    assert same_words("NORTH", "north") and not same_words("thorn", "north") and not same_words("", "")
