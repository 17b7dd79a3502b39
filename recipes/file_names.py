"""Names that become file and folder names, such as a suite's name (the folder of its samples); never paths."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator

MOST_BYTES = 100
"""in UTF-8; file systems allow 255, and suffixes are appended to a name"""
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
"""device names on Windows, to which a run folder may be copied"""
HIDDEN_KINDS = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories of characters that are invisible, or change how their neighbours are shown"""


def name_fault(text: str) -> str | None:
    """Why `text` cannot be the name of a file or a folder; None if it can."""
    if not text.strip():
        return "must not be empty"
    if slash := next((sign for sign in "/\\" if sign in text), None):
        return f"must be a name, not a path: it contains {slash}"
    if text[0] == "." or text[-1] == ".":
        return "must not begin or end with a dot"
    if text != text.strip():
        return "must not begin or end with a space"
    if hidden := next((sign for sign in text if unicodedata.category(sign) in HIDDEN_KINDS), None):
        return f"contains an invisible character (U+{ord(hidden):04X})"
    if text.partition(".")[0].rstrip().lower() in RESERVED:
        return "is the name of a device on Windows"
    if len(text.encode()) > MOST_BYTES:
        return f"is too long: at most {MOST_BYTES} bytes, got {len(text.encode())}"
    return None


def same_file(text: str) -> str:
    """A key that is equal for two names that are one file if case and the composition of letters do not count."""
    return unicodedata.normalize("NFC", text).casefold()


def _checked(text: str) -> str:
    if fault := name_fault(text):
        raise ValueError(
            f"{text!r} {fault}; allowed are letters of any script, digits, spaces and signs such as - _ + ( )"
        )
    return text


FileName = Annotated[str, AfterValidator(_checked)]
"""text that is checked to be such a name"""
