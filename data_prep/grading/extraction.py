r"""Finding the answer in a text: the last `\boxed{…}`, what follows the word answer, the last number.

Everything here is one pass over the text, so that no text can make it slow.
"""

from __future__ import annotations

import re

LONGEST_EXTRACTED = 400
NUMBER = re.compile(r"-?(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?")
AFTER_CUE = re.compile(r"answer(?:\s*(?:is\b|:|=))*\s*(.*)", re.IGNORECASE | re.DOTALL)
BRACES = re.compile(r"\\boxed\{|[{}]")
THIN_SPACE = re.compile(r"(?<=[0-9])(?:\\[,!;: ]|\{,\}|,\\!|\{,\\!\}) ?(?=[0-9]{3}(?![0-9]))")


def last_box(text: str) -> str | None:
    r"""What the complete `\boxed{…}` that begins last holds, braces balanced; None where there is none. One pass."""
    opened: list[re.Match[str]] = []
    first, last = -1, -1
    for brace in BRACES.finditer(text):
        if brace.group() != "}":
            opened.append(brace)
        elif opened:
            partner = opened.pop()
            if len(partner.group()) > 1 and partner.end() > first:
                first, last = partner.end(), brace.start()
    return text[first:last] if first >= 0 else None


def short_answer(text: str) -> str:
    """The last box, else what follows the word answer, else all, on one line and without a final full stop."""
    answer = last_box(text)
    if answer is None:
        match = AFTER_CUE.search(text)
        answer = match.group(1) if match else text
    return " ".join(answer.split()).rstrip(".")


def join_thousands(text: str) -> str:
    r"""`11,\!111`, `1{,}234` and `1\,234` as plain digits: LaTeX space between groups of three goes."""
    return THIN_SPACE.sub("", text)


def plain_number(number: str) -> str:
    """One spelling for each number; compared as text, so that any length will do."""
    integer, _, fraction = number.replace(",", "").partition(".")
    digits = integer.lstrip("-").lstrip("0") or "0"
    sign = "-" if integer.startswith("-") and digits != "0" else ""
    fraction = fraction.rstrip("0")
    return f"{sign}{digits}.{fraction}" if fraction else f"{sign}{digits}"
