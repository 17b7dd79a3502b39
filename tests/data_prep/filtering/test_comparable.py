"""Spellings of one text are one; different texts stay different; scripts without spaces are split by characters."""

from __future__ import annotations

import unicodedata

import pytest

from data_prep.filtering.comparable import comparable, symbols, words

TEXT = 'L\'élève a 1/2 - x^2, "Ist" * 3.'


@pytest.mark.parametrize(
    "spelt",
    [
        unicodedata.normalize("NFD", TEXT),
        "\ufeffL’élève a ½ – x², “Ist” × 3．",
        "Ｌ＇élève　a １／２ － ｘ＾２， ＂Ｉｓｔ＂ ＊ ３．",
        "L'é\u00adlève\u200b a\u00a01/2\u2028− x\u2060^2, «Ist» · 3。",
        'L\'\u202eélève\u202c a\t1\u20442 — x^2\ufe0f, "IST" * 3.\x00',
    ],
)
def test_spellings_of_one_text_have_the_same_words(spelt: str) -> None:
    assert words(spelt) == words(TEXT) == ["l'élève", "a", "1/2", "-", "x^2,", '"ist"', "*", "3."]


def test_powers_indices_and_fractions_are_written_out() -> None:
    assert words("x² a₁ 3½ ⁿ e⁻³") == ["x^2", "a_1", "3", "1/2", "^n", "e^-^3"]


def test_letters_that_only_folding_makes_equal() -> None:
    assert comparable("STRASSE ﬁn Ω") == comparable("straße fin Ω")


@pytest.mark.parametrize(
    ("one", "other"),
    [("résumé", "resume"), ("x2", "x3"), ("3²", "32"), ("3½", "31/2"), ("1/2", "12"), ("ё", "е"), ("−1", "1")],
)
def test_other_texts_stay_others(one: str, other: str) -> None:
    assert words(one) != words(other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("小明有3个苹果", ["小", "明", "有", "3", "个", "苹", "果"]),
        ("ｶﾌｪで", ["カ", "フ", "ェ", "で"]),
        ("กี่คน", list("กี่คน")),
        ("사과는", ["사", "과", "는"]),
        ("𠮷野", ["𠮷", "野"]),
        ("two 苹果s", ["two", "苹", "果", "s"]),
    ],
)
def test_scripts_without_spaces_are_split_by_characters(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_symbols_split_marks_off() -> None:
    assert symbols("设f(x)＝1。") == ["设", "f", "(", "x", ")", "=", "1", "."]


def test_what_is_compared_stays_as_it_is_when_compared_again() -> None:
    letters = [chr(number) for number in range(0x30000) if not 0xD800 <= number < 0xE000]
    assert [each for each in letters if comparable(comparable(each)) != comparable(each)] == []
