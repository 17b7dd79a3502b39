"""math-verify, told to read all of an answer and to compare exactly."""

from __future__ import annotations

import pytest

from data_prep.grading.algebra import equal, read


def same(gold: str, given: str) -> bool:
    first, second = read(gold), read(given)
    assert first is not None and second is not None
    return equal(first, second)


@pytest.mark.parametrize(
    ("gold", "given"),
    [
        (r"\frac{1}{7^{60}}", "7^{-60}"),
        (r"\sqrt{3}", "1.73205081"),
        (r"\frac{5!}{2}", "60"),
        ("x^2-1", "(x-1)(x+1)"),
        ("(1+i)(1-i)", "2"),
        ("4-1i", "4-i"),
        (r"0.5x", r"\frac{x}{2}"),
        (r"\begin{pmatrix} 4 \\ 5 \\ 6 \end{pmatrix}", "(4,5,6)"),
        ("(4,5)", r"\begin{pmatrix} 4 \\ 5 \end{pmatrix}"),
        (r"|{-9}|", "9"),
        (r"45\%", "0.45"),
    ],
)
def test_equal(gold: str, given: str) -> None:
    assert same(gold, given) and same(given, gold)


@pytest.mark.parametrize(
    ("gold", "given"),
    [
        (r"\frac{1}{7^{60}}", "7^{-61}"),
        (r"\frac{1}{900!}", r"\frac{1}{901!}"),
        (r"\sqrt{10^{40}+1}", "10^{20}"),
        (r"\frac{x}{5^{80}}", r"\frac{x}{5^{81}}"),
        (r"\sqrt{3}", "1.73205082"),
        (r"\sqrt{3}", "1.732"),
        (r"(10^{-8}, 2)", r"(3 \cdot 10^{-8}, 2)"),
        ("2+i", "2-i"),
        ("i+j", "i-j"),
        (r"\begin{pmatrix} 4 \\ 5 \end{pmatrix}", "(5,4)"),
        (r"\begin{pmatrix} 4 \\ 5 \end{pmatrix}", r"\begin{pmatrix} 4 & 5 \end{pmatrix}"),
    ],
)
def test_unequal(gold: str, given: str) -> None:
    assert not same(gold, given) and not same(given, gold)


@pytest.mark.parametrize(
    "answer",
    [
        "2 3",
        "212_3",
        r"3 \pmod 5",
        r"1,2,\ldots,n",
        "f'",
        "A^T",
        r"\sin 40^\circ",
        r"2x \text{ if } x>0",
        r"7 \text{apples and pears}",
        "3+",
        "5 or",
        "",
    ],
)
def test_what_the_parser_would_drop_is_not_read(answer: str) -> None:
    assert read(answer) is None
