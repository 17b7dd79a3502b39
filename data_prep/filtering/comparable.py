"""The normal form in which texts are compared, and its words: the units of duplicates and overlaps.

The same problem may be written in different Unicode: composed or decomposed letters, full width, soft hyphens, other
dashes, quotes and spaces. For comparison only (it is never trained on) a text is brought to NFKC without case; format
characters are removed; dashes, quotes, stops and white space become one kind each. In scripts that are written without
spaces, each character counts as a word.
"""

from __future__ import annotations

import re
import unicodedata

UNSPACED = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\u3005-\u3007\u3040-\u30ff\u3100-\u312f"
    "\u31f0-\u31ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff"
)
"""written without spaces, or with freely set ones: Thai, Lao, Tibetan, Burmese, Khmer, Tai, kana, Han, Hangul"""
WORD = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")
SYMBOL = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+|[^\w\s]")
ASCII_SYMBOL = re.compile(r"\w+|[^\w\s]")
"""the same for most texts, in two thirds of the time"""

_KINDS = {
    "-": "\u2212\u2043\u30a0",  # minus, hyphen bullet; all of category Pd besides
    "'": "\u2018\u2019\u201a\u201b\u2032\u00b4`",
    '"': "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb\u300c\u300d\u300e\u300f",
    ".": "\u3002\uff61",
    ",": "\u3001\uff64",
    "/": "\u2044\u2215",  # NFKC writes ½ with the first
    "*": "\u00d7\u22c5\u00b7\u2217",
}
_DROPPED = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0" + "".join(map(chr, range(0xFE00, 0xFE10)))
"""joiners, fillers and variation selectors that are not of the format category"""
RAISED = "\u207a\u207b\u207c\u207d\u207e\u207f\u2071\u208a\u208b\u208c\u208d\u208e"
MARK_OF = {"<super>": "^", "<sub>": "_", "<fraction>": " "}
"""marks that distinguish a character which contains a number from the number: x², x₂, 3½"""


def _table() -> dict[int, str | None]:
    """Character -> its replacement; None for one that is removed. White space stays until words are split."""
    table: dict[int, str | None] = {}
    for number in (*range(0x1E000), *range(0xE0000, 0xE1000)):  # beyond and between are Han and unassigned ones
        category = unicodedata.category(chr(number))
        if category == "Cf" or (category == "Cc" and not chr(number).isspace()):
            table[number] = None
        elif category == "Pd":
            table[number] = "-"
        elif category == "No" or chr(number) in RAISED:
            table[number] = _number(chr(number))
    table |= {ord(letter): kind for kind, letters in _KINDS.items() for letter in letters}
    return table | dict.fromkeys(map(ord, _DROPPED))


def _number(letter: str) -> str:
    """A power, an index or a fraction that is one character, written out: NFKC alone makes 32 of both 3² and 32."""
    kind = unicodedata.decomposition(letter).partition(" ")[0]
    return MARK_OF.get(kind, "") + unicodedata.normalize("NFKC", letter).replace("\u2044", "/").replace("\u2212", "-")


TABLE = _table()
CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f`]")


def comparable(text: str) -> str:
    """The text in normal form; applying it twice changes nothing more."""
    if text.isascii():
        return text.lower().translate(TABLE) if CONTROL.search(text) else text.lower()
    # signs first, since NFKC takes some apart (´ becomes a blank and an accent); folding can undo a composition
    folded = unicodedata.normalize("NFKC", text.translate(TABLE)).casefold()
    return unicodedata.normalize("NFKC", folded).translate(TABLE)


def words(text: str) -> list[str]:
    """The parts between white space, and every single character of a script that is written without it."""
    plain = comparable(text)
    return plain.split() if plain.isascii() else WORD.findall(plain)


def symbols(text: str) -> list[str]:
    """The same, with every punctuation mark as a part of its own."""
    plain = comparable(text)
    return (ASCII_SYMBOL if plain.isascii() else SYMBOL).findall(plain)
