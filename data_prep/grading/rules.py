r"""Grading by rule, without computer algebra: exact text and integers (`choice` has its own module).

    exact     equal after folding case and space; the box, else the text after the word answer, else all
    integer   the number in the box, else after `####` or the last cue, else the last number of the text

For a rule, a fraction, a power or several numbers are not an integer: an ambiguous answer is wrong, never guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from data_prep.grading.extraction import LONGEST_EXTRACTED, NUMBER, boxed, short_answer, stated_number
from data_prep.grading.latex import tidy, unwrap
from data_prep.grading.numerals import join_groups, plain_number
from data_prep.grading.signs import plain
from data_prep.grading.units import MULTIPLIERS, NO_UNIT, split_unit

BOXED_INTEGER = re.compile(
    rf"(?:[A-Za-z][A-Za-z ]*(?: |: ?))?\+?({NUMBER.pattern})(?:st|nd|rd|th)?"
    r"(?P<unit> [A-Za-z][A-Za-z.]+(?: [A-Za-z.]+)*)?"
)


INTEGER = re.compile(r"-?[0-9]{1,4000}")


@dataclass(frozen=True)
class Grade:
    """Whether it is correct, the extracted answer, and the reason."""

    correct: bool
    extracted: str
    reason: str


def grade_exact(text: str, gold: str) -> Grade:
    """Whether the short answer equals the gold answer, apart from case, white space and Unicode forms."""
    extracted = short_answer(text)
    return judge(_folded(extracted) == _folded(gold), extracted)


def _folded(text: str) -> str:
    return " ".join(plain(text).split()).casefold()


def grade_integer(text: str, gold: str) -> Grade:
    """Whether the number that the text gives is the gold integer.

    Leading zeros, thousands separators, a decimal part of zeros, a currency sign and words for a unit are ignored.
    """
    box = boxed(text)
    stated = stated_number(plain(text), lambda formula: boxed_integer(formula) is not None) if box is None else box
    number = boxed_integer(stated) if stated is not None else None
    if number is None:
        return Grade(False, "" if box is None else box[:LONGEST_EXTRACTED], "no integer")
    return judge(plain_number(number) == plain_number(plain(gold).strip()), number.replace(",", ""))


def boxed_integer(box: str) -> str | None:
    """The one number in a box, as written; None for any other expression, and for several numbers."""
    if INTEGER.fullmatch(box.strip()):
        return box.strip()
    value = join_groups(tidy(box[:20_000])).rpartition("=")[2].strip()
    while value.startswith("{") and value.endswith("}"):
        value = value[1:-1].strip()
    value = split_unit(value)[0].removesuffix(r"\%")
    value = " ".join(unwrap(value).split()).replace("- ", "-").strip("$ .")
    match = BOXED_INTEGER.fullmatch(value)
    if match is None or {*(match.group("unit") or "").lower().split()} & {*NO_UNIT, *MULTIPLIERS}:
        return None
    return match.group(1)


def judge(correct: bool, extracted: str) -> Grade:
    """A grade whose reason is equal, differs or no answer."""
    reason = "equal" if correct else "differs" if extracted else "no answer"
    return Grade(correct, extracted[:LONGEST_EXTRACTED], reason)
