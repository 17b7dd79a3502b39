"""Signs of Unicode in one spelling."""

from __future__ import annotations

import pytest

from data_prep.grading.signs import as_latex, plain


@pytest.mark.parametrize(
    ("text", "ascii_text"),
    [
        ("１７", "17"),
        ("१७", "17"),
        ("٤٢", "42"),
        ("𝟕𝟖", "78"),
        ("（3，4）", "(3,4)"),
        ("８％", "8%"),
        ("￥5", "¥5"),
        ("–3", "-3"),
        ("−3", "-3"),
        ("－3", "-3"),
        ("7\u00a0650\u202f000", "7650000"),
        ("7\u00a065", "7 65"),
        ("\ufeff6\u200b1\u2060", "61"),
        ("a\u2028b", "a\nb"),
        ("Ⓒ", "C"),
        ("Ｃ", "C"),
        ("ｘ＝2", "x=2"),
        ("9º", "9°"),
        ("9℃", "9°C"),
        ("½", "½"),
        ("x²", "x²"),
        ("Zürich", "Zürich"),
    ],
)
def test_digits_widths_dashes_and_blanks(text: str, ascii_text: str) -> None:
    assert plain(text) == ascii_text


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("¾", r"\frac{3}{4}"),
        ("⅔", r"\frac{2}{3}"),
        ("y³", "y^{3}"),
        ("y⁻¹²", "y^{-12}"),
        ("a₁₀", "a_{10}"),
        ("√5", r"\sqrt{5}"),
        ("√(x+1)", r"\sqrt{x+1}"),
        ("∛8", r"\sqrt[3]{8}"),
        ("3≤x", r"3\le x"),
        ("2π", r"2\pi "),
        ("∞", r"\infty "),
        ("5€", "5€"),
    ],
)
def test_signs_of_mathematics_are_latex(text: str, latex: str) -> None:
    assert as_latex(text) == latex
