"""The current run: its folder, its ranks and its tracker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runtime.files import Row, read_rows
from runtime.ranks import Ranks
from runtime.run_folder import RunFolder
from train.tracking import Tracker


@dataclass(frozen=True)
class Run:
    """The context of a run. Only rank 0 writes to `folder`; `tracker` does nothing on other ranks."""

    folder: RunFolder
    ranks: Ranks
    tracker: Tracker

    @property
    def is_first_rank(self) -> bool:
        return self.ranks.rank == 0

    def say(self, text: str) -> None:
        """Prints once, from rank 0."""
        say(self.ranks, text)

    def sweep_rows(self, last_step: int | None = None) -> list[Row]:
        """The rows of the sweeps so far, up to step `last_step` if given."""
        rows = read_rows(self.folder.sweeps)
        return rows if last_step is None else [row for row in rows if row["step"] <= last_step]

    def add_facts(self, facts: Mapping[str, Any]) -> None:
        """Merges `facts` into run.json, from rank 0."""
        if self.is_first_rank:
            self.folder.add_facts(facts)


def say(ranks: Ranks, text: str) -> None:
    """Prints once, from rank 0."""
    if ranks.rank == 0:
        print(text, flush=True)
