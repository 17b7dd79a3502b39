"""Scripts of letters, and the share of a thought that is written in another script than its question."""

from __future__ import annotations

import pytest

from data_prep.filtering.scripts import foreign_share, letters_by_script, script_of


@pytest.mark.parametrize(
    ("letter", "script"),
    [
        ("a", "LATIN"),
        ("é", "LATIN"),
        ("ж", "CYRILLIC"),
        ("中", "CJK"),
        ("あ", "CJK"),
        ("ア", "CJK"),
        ("한", "HANGUL"),
        ("ש", "HEBREW"),
        ("ع", "ARABIC"),
        ("α", ""),
        ("𝑥", ""),
        ("ℝ", ""),
        ("ℓ", ""),
        ("µ", ""),
    ],
)
def test_the_script_of_a_letter(letter: str, script: str) -> None:
    assert script_of(letter) == script


def test_letters_are_counted_and_nothing_else() -> None:
    assert letters_by_script("ab, 12 жж α") == {"LATIN": 2, "CYRILLIC": 2}
    assert letters_by_script("ab 1") == {"LATIN": 2}


@pytest.mark.parametrize(
    ("question", "thinking", "share"),
    [
        ("two", "x" * 15 + "中" * 5, 0.25),
        ("two", "x" * 14 + "中" * 5, 0.0),  # 19 letters say nothing
        ("一二三四五六七八九x", "x" * 10 + "中" * 10, 0.0),  # a tenth of the question is Latin
        ("一二三四五六七八九十x", "x" * 10 + "中" * 10, 0.5),  # less than a tenth
        ("2 + 2?", "中" * 30, 0.0),
        ("два", "ж" * 30, 0.0),
    ],
)
def test_the_share_worked_out_by_hand(question: str, thinking: str, share: float) -> None:
    assert foreign_share(question, thinking) == share
