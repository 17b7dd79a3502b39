"""What W&B's offline files of a run hold, read back with W&B's own reader (`wandb leet inspect`)."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.train.runs import environment


@dataclass(frozen=True)
class Start:
    """One offline folder, of one start of a run: the records of its .wandb file in their order."""

    folder: Path
    records: list[dict[str, Any]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [record[kind] for record in self.records if record["type"] == kind]

    def history(self) -> list[dict[str, Any]]:
        return [row["item"] for row in self.of("history")]

    def curve(self, key: str, step: str) -> list[tuple[int, Any]]:
        """(step, value) of all rows that have the key."""
        return [(row[step], row[key]) for row in self.history() if key in row]

    def summary(self) -> dict[str, Any]:
        """The summary as it stands at the end of this file, which knows no other."""
        found: dict[str, Any] = {}
        for record in self.of("summary"):
            found |= record.get("update", {})
        return found

    def run(self) -> dict[str, Any]:
        found: dict[str, Any] = self.of("run")[0]
        return found

    def table(self, key: str) -> dict[str, Any]:
        """The newest table of a key: its columns and data."""
        found: dict[str, Any] = json.loads((self.folder / "files" / self.summary()[f"{key}.path"]).read_text())
        return found


def starts_of(folder: Path) -> list[Start]:
    """The offline folders of the run in `folder`, in the order of its starts."""
    return [Start(each, inspected(each)) for each in sorted(folder.glob("wandb/offline-run-*"))]


def inspected(offline: Path) -> list[dict[str, Any]]:
    (file,) = offline.glob("run-*.wandb")
    done = subprocess.run(
        [str(Path(sys.executable).parent / "wandb"), "leet", "inspect", "--json", str(file)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
