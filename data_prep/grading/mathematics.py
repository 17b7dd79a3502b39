r"""Grading of mathematics: the last box (else the whole text) against the gold answer.

Equal spelling and plain integers are settled at once (`settle`); everything else goes to math-verify (`verify_math`),
which runs in a worker process that can be killed (`pool`). Before that units are split off (`units`), groups of three
digits are joined, and `a \le x < b` becomes the interval `[a, b)`. A verdict never depends on which of
the two roads an answer took.
"""

from __future__ import annotations

import logging
import re

from data_prep.grading.extraction import LONGEST_EXTRACTED, join_thousands, last_box
from data_prep.grading.rules import Grade, unwrap
from data_prep.grading.units import split_unit

SMALL_INTEGER = re.compile(r"-?[0-9]{1,15}")
WORDS = re.compile(r"[A-Za-z]{2,}(?: [A-Za-z]+)*")
SPACING = re.compile(r"\\(?:left|right|displaystyle)(?![A-Za-z])|\\[,;:!]")
BETWEEN = re.compile(r"(?<![0-9A-Za-z])\s+|\s+(?![0-9A-Za-z])")
LESS = r"(<|\\lt(?![a-z])|≤|\\leq?(?![a-z]))"
CHAIN = re.compile(rf"([^<>=]{{1,60}}?){LESS}\s*[a-zA-Z]\s*{LESS}([^<>=]{{1,60}})")
LONGEST_BOX = 2000  # characters; a longer answer is right only where the gold answer is long too
STRICT = ("<", "\\lt")
NOT_READ = "the gold answer cannot be read"


def settle(text: str, gold: str) -> Grade | None:
    """The grade where it needs no algebra: no gold answer, a box far too long, equal spelling, small integers."""
    if not gold.strip():
        return Grade(False, "", NOT_READ)
    box = last_box(text)
    answer = text if box is None else box
    if box is not None and len(box) > max(LONGEST_BOX, 10 * len(gold)):
        return Grade(False, box[:LONGEST_EXTRACTED], "answer too long")
    if len(answer) > LONGEST_EXTRACTED or len(gold) > LONGEST_EXTRACTED:
        return None
    given_spelling, gold_spelling = spelling(answer), spelling(gold)
    if given_spelling == gold_spelling or same_words(given_spelling, gold_spelling):
        return Grade(True, answer.strip(), "equal")
    if SMALL_INTEGER.fullmatch(given_spelling) and SMALL_INTEGER.fullmatch(gold_spelling):
        equal = int(given_spelling) == int(gold_spelling)
        return Grade(equal, answer.strip(), "equal" if equal else "differs")
    return None


def spelling(answer: str) -> str:
    """The answer without what only sets its type: faces, `\\left`, thin spaces, the names of fractions."""
    plain = unwrap(SPACING.sub("", answer.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")))
    return BETWEEN.sub("", " ".join(plain.split())).strip().strip("$").rstrip(".")


def same_words(answer: str, gold: str) -> bool:
    """Whether the gold answer is words, and these are the same apart from case (`East`, `east`)."""
    return bool(WORDS.fullmatch(gold)) and answer.casefold() == gold.casefold()


def verify_math(text: str, gold: str) -> tuple[bool, str, str]:
    """(correct, extracted, reason) by math-verify. May be slow, or never end: call it in a worker process."""
    from math_verify import verify

    box = last_box(text)
    gold_text, gold_unit = split_unit(_rewritten(gold))
    given_text, unit = split_unit(_rewritten(box)) if box is not None else (text, "")
    if gold_unit and unit and unit != gold_unit:
        return False, (box or "")[:LONGEST_EXTRACTED], f"unit differs ({unit} for {gold_unit})"
    if box is not None and same_words(spelling(box), spelling(gold)):
        return True, box[:LONGEST_EXTRACTED], "equal"
    expected = _parse(f"${gold_text}$") or _parse(gold_text)
    if not expected:
        return False, "", NOT_READ
    answer = _parse(given_text if box is None else f"\\boxed{{{given_text}}}")
    if not answer:
        return False, "", "no answer"
    correct = bool(verify(expected, answer, timeout_seconds=None))
    shown = box if box is not None else str(answer[-1])
    return correct, shown[:LONGEST_EXTRACTED], "equal" if correct else "differs"


def _parse(text: str) -> list[object]:
    from math_verify import parse

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns at every call that its own time limit is off
    return list(parse(text, parsing_timeout=None))


def _rewritten(answer: str) -> str:
    answer = join_thousands(answer.replace("−", "-"))
    chain = CHAIN.fullmatch(answer.strip()) if len(answer) <= LONGEST_EXTRACTED else None
    if chain is None:
        return answer
    low, left, right, high = chain.groups()
    return ("(" if left in STRICT else "[") + f"{low.strip()},{high.strip()}" + (")" if right in STRICT else "]")
