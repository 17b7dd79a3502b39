"""The scripts of a text, and how far a thought drifts from those of its question."""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache

FEWEST_LETTERS = 20
OWN_SHARE = 0.1
EAST_ASIAN = {"CJK", "HIRAGANA", "KATAKANA", "HALFWIDTH", "BOPOMOFO"}
# First words of Unicode names of letters that occur in formulas in any language.
SYMBOLS = {
    "GREEK",
    "MATHEMATICAL",
    "DOUBLE-STRUCK",
    "SCRIPT",
    "BLACK-LETTER",
    "MICRO",
    "OHM",
    "KELVIN",
    "ANGSTROM",
    "PLANCK",
    "ALEF",
    "BET",
    "MODIFIER",
    "FULLWIDTH",
    "FEMININE",
    "MASCULINE",
}


@lru_cache(maxsize=20_000)
def script_of(letter: str) -> str:
    """The script of a letter, by the first word of its Unicode name (Han and kana are one); "" for a symbol."""
    first = unicodedata.name(letter, "").split(" ")[0].split("-")[0]
    if unicodedata.name(letter, "").split(" ")[0] in SYMBOLS:
        return ""
    return "CJK" if first in EAST_ASIAN else first


def letters_by_script(text: str) -> Counter[str]:
    """How many letters of each script a text has; symbols are left out."""
    if text.isascii():
        return Counter({"LATIN": sum(map(str.isalpha, text))})
    counts: Counter[str] = Counter()
    for character, count in Counter(text).items():
        if character.isalpha() and (script := script_of(character)):
            counts[script] += count
    return counts


def foreign_share(question: str, thinking: str) -> float:
    """The share of the thought's letters in scripts that the question does not use, in [0, 1].

    The question uses a script that has at least a tenth of its letters. 0 if the question has no letters or the thought
    fewer than 20, since nothing can be said then. Greek letters are symbols, so Greek text counts neither way.
    """
    in_question = letters_by_script(question)
    expected = {script for script, count in in_question.items() if count and count >= OWN_SHARE * in_question.total()}
    if not expected or (expected == {"LATIN"} and thinking.isascii()):
        return 0.0
    thought = letters_by_script(thinking)
    if thought.total() < FEWEST_LETTERS:
        return 0.0
    return sum(count for script, count in thought.items() if script not in expected) / thought.total()
