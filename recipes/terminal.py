"""Makes printed text safe for a terminal. Text from a model, a trace or a file may contain escape sequences that move
the cursor, hide lines or write the clipboard, and marks that reorder letters. Everything that a command prints goes
through here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO

CONTROL = re.compile("[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""all but tab, newline and return: C0, C1, and characters that change the direction of text or break a line"""


def plain(text: str) -> str:
    """`text` with its control characters written out, such as \\x1b for an escape."""
    return CONTROL.sub(lambda sign: sign.group().encode("unicode_escape").decode("ascii"), text)


class PlainStream:
    """A text stream that shows control characters instead of sending them. `returns`: what a return becomes; a
    progress bar on standard error needs it unchanged."""

    def __init__(self, stream: TextIO, returns: str = "\\r") -> None:
        self._stream, self._returns = stream, returns

    def write(self, text: str) -> int:
        self._stream.write(plain(text).replace("\r", self._returns))
        return len(text)

    @property
    def below(self) -> TextIO:
        """The stream itself."""
        return self._stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def painted_output() -> TextIO:
    """Standard output without this protection, for text with our own colours whose other parts are already plain."""
    return sys.stdout.below if isinstance(sys.stdout, PlainStream) else sys.stdout


@contextmanager
def plain_streams(out: TextIO, err: TextIO) -> Iterator[None]:
    """Standard output and error without control characters; characters that the encoding lacks are written out as well,
    since the stream would raise UnicodeEncodeError (`LANG=C` with a pipe)."""
    for stream in (out, err):
        if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    shown: Any = PlainStream(out)
    bars: Any = PlainStream(err, "\r")
    with redirect_stdout(shown), redirect_stderr(bars):
        yield
