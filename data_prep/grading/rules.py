r"""Grading by rule, where no computer algebra is needed: exact text, integers, choices.

    exact     equal after folding case and space; the last box, else what follows the word answer, else all
    integer   the number in the last box, else after the last `####`, else the last number of the text
    choice    a letter A to J: in the last box, else after the word answer, else alone on a line, else the last (B)

A rule reads a fraction, a power or several numbers in a box as no integer, and two letters as no choice: what can be
read in two ways is wrong, never guessed.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

from data_prep.grading.extraction import LONGEST_EXTRACTED, NUMBER, join_thousands, last_box, plain_number, short_answer

WRAPPER = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathsf|mbox|bf|rm)\s*\{([^{}]*)\}")
DECORATION = re.compile(r"\\(?:left|right|displaystyle|quad|qquad|[,;:! ])|\\?\$|\\?%|\^?\{?\\circ\}?|°|\*\*|\\(?=-)")
BOXED_INTEGER = re.compile(
    rf"(?:[A-Za-z][A-Za-z ]*(?: |: ?))?({NUMBER.pattern})(?:st|nd|rd|th)?(?: [A-Za-z][A-Za-z .]*)?"
)
UNSAFE_BEFORE = re.compile(r"[0-9}]\s?[/^]\s?$|_$")

LETTER = r"(?:[(\[]([A-Ja-j])[)\]]|([A-HJ]|I(?! [a-z]))(?![A-Za-z0-9'’]))"
BOXED_CHOICE = re.compile(r"[(\[]?([A-Ja-j])(?:[)\]]? ?[.:]?|[)\].:][.:]? .*)")
SEVERAL_BOXED = re.compile(r"[(\[]?[A-J][)\]]?(?: ?(?:,|and|or|&) ?[(\[]?[A-J][)\]]?){1,9}")
CUED_CHOICE = re.compile(
    r"(?i:\banswer(?: choice| option| letter)?|\b(?:correct|right|best) (?:choice|option|letter))"
    rf"(?i: ?(?:is|would be|must be|should be|:|=)){{0,3}}(?i: ?(?:option|choice))? ?{LETTER}"
)
FIRST_CHOICE = re.compile(r"\s*(?:\(([A-J])\)|([A-J])[.:)])(?:\s|$)")
LINE_CHOICE = re.compile(r"^ ?[(\[]?([A-J])[)\]]?[.:]? ?$", re.MULTILINE)
BRACKETED_CHOICE = re.compile(r"\(([A-J])\)")
ANOTHER_CHOICE = re.compile(r"[)\]]? ?(?:,|/|&|and\b|or\b) ?(?:option |choice )?[(\[]?[A-HJ](?![A-Za-z0-9'’])")
GOLD_CHOICE = re.compile(r"\(?([A-Ja-j])\)?\.?")


@dataclass(frozen=True)
class Grade:
    """correct, what was taken for the answer, and why it was judged so."""

    correct: bool
    extracted: str
    reason: str


def grade_exact(text: str, gold: str) -> Grade:
    """The short answer equals the gold answer, case and white space apart."""
    extracted = short_answer(text)
    return judge(extracted.casefold() == " ".join(gold.split()).casefold(), extracted)


def grade_integer(text: str, gold: str) -> Grade:
    """The number that the text gives is the gold integer.

    Leading zeros, thousands separators, a decimal part of zeros, a currency sign and words for a unit do not count.
    """
    box = last_box(text)
    number = _last_number(text) if box is None else _boxed_number(box)
    if number is None:
        return Grade(False, "" if box is None else box[:LONGEST_EXTRACTED], "no integer")
    return judge(plain_number(number) == plain_number(gold.strip()), number.replace(",", ""))


def grade_choice(text: str, gold: str) -> Grade:
    """The letter that the text gives is the gold letter."""
    gold_letter = GOLD_CHOICE.fullmatch(unwrap(gold).strip())
    if gold_letter is None:
        return Grade(False, "", "the gold answer cannot be read")
    choice = _choice(text)
    if choice is None:
        return Grade(False, "", "no choice")
    if len(choice) > 1:
        return Grade(False, choice[:LONGEST_EXTRACTED], "several choices")
    return judge(choice == gold_letter.group(1).upper(), choice)


def judge(correct: bool, extracted: str) -> Grade:
    """A grade whose reason is equal, differs or no answer."""
    reason = "equal" if correct else "differs" if extracted else "no answer"
    return Grade(correct, extracted[:LONGEST_EXTRACTED], reason)


def unwrap(text: str) -> str:
    r"""`\text{B}` as `B`, and so with the other commands that only set a type face; two deep."""
    return WRAPPER.sub(r" \1 ", WRAPPER.sub(r" \1 ", text))


def _last_number(text: str) -> str | None:
    gold_at = text.rfind("####")
    if gold_at >= 0:
        text = text[gold_at + 4 :].strip().partition("\n")[0]
    last = deque(NUMBER.finditer(text), maxlen=1)
    if not last or UNSAFE_BEFORE.search(text[max(0, last[0].start() - 3) : last[0].start()]):
        return None
    return last[0].group()


def _boxed_number(box: str) -> str | None:
    plain = DECORATION.sub(" ", unwrap(join_thousands(box.replace("−", "-")))).replace("- ", "-")
    value = " ".join(plain.rpartition("=")[2].split()).rstrip(". ")
    while value.startswith("{") and value.endswith("}"):
        value = value[1:-1].strip()
    match = BOXED_INTEGER.fullmatch(value) if len(value) <= 20_000 else None
    return match.group(1) if match else None


def _choice(text: str) -> str | None:
    """The letter, several letters as they are written, or None."""
    box = last_box(text)
    if box is not None:
        inside = " ".join(DECORATION.sub(" ", unwrap(box)).split())[:LONGEST_EXTRACTED]
        if SEVERAL_BOXED.fullmatch(inside):
            return inside
        match = BOXED_CHOICE.fullmatch(inside)
        return match.group(1).upper() if match else None
    lines = re.sub(r"[ \t\r\f\v]+", " ", re.sub(r'[*`"$]', "", unwrap(text)))
    flat = " ".join(lines.split())
    for pattern, place in ((CUED_CHOICE, flat), (FIRST_CHOICE, lines), (LINE_CHOICE, lines), (BRACKETED_CHOICE, flat)):
        matches = [pattern.match(place)] if pattern is FIRST_CHOICE else list(pattern.finditer(place))
        if matches and (match := matches[-1]):
            another = ANOTHER_CHOICE.match(place, match.end())
            return match.group() + another.group() if another else next(filter(None, match.groups())).upper()
    return None
