"""The fate of every row: `Ledger` counts the rows read, and those that each stage of the preparation lost, by reason.

One ledger is shared by all stages of one preparation. The numbers add up: read == kept + lost, which `facts` checks.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import IO, Any

MOST_NAMED = 20


class Ledger:
    """Counts of one preparation. `named` keeps the first 20 lost rows of each reason, as `where: why`.

    If `every` is given, each lost row is a line {"reason", "where", "why"} there; there may be a million of them.
    """

    def __init__(self, every: IO[str] | None = None) -> None:
        self.every = every
        self.read = 0
        self.kept = 0
        self.changed: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.named: dict[str, list[str]] = {}
        self.notes: list[str] = []

    def lose(self, reason: str, where: str, why: str = "") -> None:
        """Counts one lost row. `reason` is a short fixed name (`too long`), `where` names the row."""
        self.lost[reason] += 1
        if self.every is not None:
            self.every.write(json.dumps({"reason": reason, "where": where, "why": why}, ensure_ascii=False) + "\n")
        listed = self.named.setdefault(reason, [])
        if len(listed) < MOST_NAMED:
            listed.append(f"{where}: {why}" if why else where)

    def change(self, what: str) -> None:
        """Counts one row that is kept in a changed form (`shortened`)."""
        self.changed[what] += 1

    def note(self, text: str) -> None:
        """Records a remark about the rows as a whole (such as which of two layouts was used)."""
        if text not in self.notes:
            self.notes.append(text)

    def facts(self) -> dict[str, Any]:
        """JSON-safe counts for the manifest; ValueError if they do not add up."""
        if self.read != self.kept + self.lost.total():
            raise ValueError(f"read {self.read} rows, kept {self.kept}, lost {self.lost.total()}: a row is unaccounted")
        return {
            "read": self.read,
            "kept": self.kept,
            "lost": dict(self.lost),
            "changed": dict(self.changed),
            "named": self.named,
            "notes": self.notes,
        }
