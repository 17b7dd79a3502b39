"""One training example: `Trace`. `data_prep.traces` reads them, `data_prep.filtering` selects those to train on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# White space, and invisible characters: marks of byte order and direction, joiners, NUL.
INVISIBLE = "".join(
    map(
        chr,
        [
            0,
            *range(9, 14),
            32,
            0x85,
            0xA0,
            0x1680,
            *range(0x2000, 0x2010),
            *range(0x2028, 0x2030),
            *range(0x205F, 0x2065),
            0x3000,
            0xFEFF,
        ],
    )
)


def visible(text: str) -> str:
    """The text without invisible characters at its ends; "" if all of it is invisible."""
    return text.strip(INVISIBLE)


@dataclass(frozen=True)
class Trace:
    """One worked example: question, thinking (may be empty), answer, and where it came from.

    gold: the right answer, if the source has it. thought: `whole`; `unclosed` if the text opens a thought and never
    closes it (the answer is then empty); `absent` if nothing in the row marks a thought, not even an empty one.
    """

    id: str
    question: str
    thinking: str
    answer: str
    source: str
    gold: str | None = None
    thought: Literal["whole", "unclosed", "absent"] = "whole"

    @property
    def where(self) -> str:
        """How the ledger names the trace: source and id, or the id alone if it includes the source."""
        return self.id if self.id.startswith(self.source) else f"{self.source} {self.id}"
