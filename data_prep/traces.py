"""What a model is taught: `Trace`. `data_prep.sources` reads them, `data_prep.pipeline` keeps those worth training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Trace:
    """One worked example: question, thinking (may be empty), answer, and where it came from.

    gold: the right answer, where the source tells it. thought: `whole`; `unclosed` where the text opens a thought and
    never closes it (the answer is then empty); `absent` where nothing in the row marks a thought, not even an empty
    one.
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
        """How the ledger names the trace: source and id, or the id where it says the source already."""
        return self.id if self.id.startswith(self.source) else f"{self.source} {self.id}"
