r"""Grading of multiple choice: a letter A to J, or the letter of its place in another script.

The letter is in the box (`D`, `(D)`, `\text{Option D}`, `D: 14 metres`), in `<answer>…</answer>`, after a cue ("the
answer is D", "the correct option is (D)", likewise in other languages), first in the text, alone on a line, or the last
in brackets. If a box has no letter, only a cue or a line of its own counts. Two letters are not a choice, nor is a
letter that two scripts read differently (a Cyrillic one that looks like a B and is the third).
"""

from __future__ import annotations

import re
from functools import lru_cache

from data_prep.grading.extraction import (
    CUE_WORDS,
    LONGEST_EXTRACTED,
    MOST_PARTS,
    Box,
    boxes,
    joined,
    tagged,
    without_denials,
)
from data_prep.grading.latex import tidy, unwrap
from data_prep.grading.rules import Grade, judge
from data_prep.grading.signs import plain

SCRIPTS = ("АБ_ГД", "ΑΒΓΔΕ", "أبجده", "אבגדה", "কখগঘঙ", "कखगघङ", "กขคงจ", "가나다라마", "アイウエオ", "甲乙丙丁戊")
"""the first five letters by script; `_` for a letter that looks like a different Latin one (a Cyrillic В)"""
LATIN = {letter: latin for script in SCRIPTS for letter, latin in zip(script, "ABCDE", strict=True) if letter != "_"}
OTHERS = "".join(LATIN)
CLOSED = rf"A-J{OTHERS}"

LETTER = rf"(?:[(\[]([A-Ja-j{OTHERS}])[)\]]|((?:[A-HJ]|I(?! [a-z]))(?![A-Za-z0-9'])|[{OTHERS}](?!\w)))"
NAME = (
    r"(?:(?:the )?(?:final |correct |right |best )?(?:answer|option|choice|letter)"
    r"|选项|選項|答案|선택지|विकल्प|вариант|ответ)"
)
BOXED_CHOICE = re.compile(rf"(?i:{NAME}(?: is)? ?:? ?){{0,3}}[(\[]?([A-Ja-j{OTHERS}])(?:[)\]]? ?[.:]?|[)\].:][.:]? .*)")
SEVERAL_BOXED = re.compile(
    rf"(?i:{NAME}s?:? ?)?[(\[]?[{CLOSED}][)\]]?(?: ?(?:,|and|or|&|/|和|或) ?(?:option )?[(\[]?[{CLOSED}][)\]]?){{1,9}}"
)
RIGHT = r"\b(?:correct|right|best) (?:choice|option|letter)"
CUE = rf"(?:(?:{CUE_WORDS})(?: choice| option| letter)?|{RIGHT}|(?:故|应|因此)?选(?:择|项)?|보기|選択肢)"
ASCII_CUE = (
    rf"(?:\banswer(?: choice| option| letter)?|{RIGHT}|\b(?:antwort|respuesta|resposta|risposta|jawaban|jibu|cevap))"
)
BEHIND_CUE = (
    r"(?i: ?(?:is|would be|must be|should be|has to be|:|=|-|是|为|は|est|ist|es|è)){0,3}"
    rf"(?i: ?(?:the )?{NAME})? ?:? ?{LETTER}"
)
CUED_CHOICE = re.compile(rf"(?i:{CUE}){BEHIND_CUE}")
CUED_ASCII_CHOICE = re.compile(rf"(?i:{ASCII_CUE}){BEHIND_CUE}")  # quicker
ASSERTED_CHOICE = re.compile(
    rf"(?i:\b(?:choose|select|pick)(?: option| choice)?|选项|選択肢は?) ?{LETTER}"
    rf"|(?<!\bif )(?<!\bnor )(?<!\bthat )(?<!\band )(?<!\bor )(?<!\bneither )(?<!\bwhether )\b{LETTER}"
    r" is (?:the )?(?:only )?(?:correct|right|best)\b"
)
FIRST_CHOICE = re.compile(rf"\s*(?:\(([{CLOSED}])\)|([{CLOSED}])[.:)])(?:\s|$)")
LINE_CHOICE = re.compile(rf"^ ?[(\[]?([{CLOSED}])[)\]]?[.:]? ?$", re.MULTILINE)
BRACKETED_CHOICE = re.compile(rf"\(([{CLOSED}])\)")
ANOTHER_CHOICE = re.compile(
    rf"[)\]]? ?(?:,|/|&|and\b|or\b|和|或) ?(?:option |choice )?[(\[]?(?:[A-HJ](?![A-Za-z0-9'])|[{OTHERS}](?!\w))"
)
GOLD_CHOICE = re.compile(r"[(\[]?\s*([^\W\d_])\s*[)\]]?[.:]?")


def grade_choice(text: str, gold: str) -> Grade:
    """The letter that the text gives is the gold letter."""
    wanted = _gold_letter(gold)
    if not wanted:
        return Grade(False, "", "the gold answer cannot be read")
    choice = _choice(plain(text))
    if choice is None:
        return Grade(False, "", "no choice")
    if len(choice) > 1:
        return Grade(False, choice[:LONGEST_EXTRACTED], "several choices")
    return judge(choice == wanted, choice)


@lru_cache(maxsize=1024)
def _gold_letter(gold: str) -> str:
    letter = GOLD_CHOICE.fullmatch(unwrap(plain(gold)).strip())
    wanted = latin(letter.group(1)) if letter else ""
    return wanted if wanted and wanted in "ABCDEFGHIJ" else ""


def latin(letter: str) -> str:
    """The Latin capital for a choice's letter; any other letter unchanged."""
    return LATIN.get(letter, letter.upper())


def _choice(text: str) -> str | None:
    """The letter, several letters as written, or None."""
    every = boxes(text)
    if every and (choice := _in_box(joined(text, every))) is not None:
        return choice
    inside = tagged(text)
    if inside is not None and (choice := _in_box(inside)) is not None:
        return choice
    return _in_words(_without_boxes(text, every), passed_over=bool(every)) or _earlier_box(every)


def _in_box(box: str) -> str | None:
    if len(box) == 1 and box in "ABCDEFGHIJ":
        return box
    inside = " ".join(re.sub(r"[*$^]|\\%", " ", unwrap(tidy(box[:LONGEST_EXTRACTED]))).split())[:LONGEST_EXTRACTED]
    if SEVERAL_BOXED.fullmatch(inside):
        return inside
    match = BOXED_CHOICE.fullmatch(inside)
    return latin(match.group(1)) if match else None


def _earlier_box(every: list[Box]) -> str | None:
    return next(filter(None, (_in_box(box.content) for box in every[: -MOST_PARTS - 1 : -1])), None)


def _without_boxes(text: str, every: list[Box]) -> str:
    """The text with each box replaced by a mark that ends the text before it."""
    parts, at = [], 0
    for box in every:
        if box.start >= at:
            parts.append(text[at : box.start])
            at = box.end
    return " ; ".join([*parts, text[at:]]) if every else text


def _in_words(text: str, passed_over: bool) -> str | None:
    """The letter that the words give; if a box had no letter, only after a cue or on a line of its own."""
    lines = re.sub(r"[ \t\r\f\v]+", " ", re.sub(r'[*`"$]', "", unwrap(without_denials(text))))
    flat = " ".join(lines.split())
    places = [
        (CUED_ASCII_CHOICE if flat.isascii() else CUED_CHOICE, flat),
        (ASSERTED_CHOICE, flat),
        (LINE_CHOICE, lines),
    ]
    if not passed_over:
        places = [*places[:2], (FIRST_CHOICE, lines), places[2], (BRACKETED_CHOICE, flat)]
    for pattern, place in places:
        matches = [pattern.match(place)] if pattern is FIRST_CHOICE else list(pattern.finditer(place))
        if matches and (match := matches[-1]):
            another = ANOTHER_CHOICE.match(place, match.end())
            return match.group() + another.group() if another else latin(next(filter(None, match.groups())))
    return None
