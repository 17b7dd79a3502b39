"""Tracks which steps were logged: a resumed run repeats some steps, and none may be logged twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runtime.files import write_whole
from train.opening import FACTS_OF_THE_SAME_RUN, MAY_CHANGE_ON_RESUME

Steps = dict[str, int]


class Logged:
    """The last logged step of each kind, kept in `file` next to the tracker's own files.

    A start that trains differently (`making`: another recipe, data, number of ranks, version) gets other numbers, so it
    logs repeated steps again. After a killed start, `survived` returns what it really stored, in addition to what
    existed when it began; if it returns None (unknown), the record in `file` is trusted.
    """

    def __init__(self, file: Path, making: str, survived: Callable[[], Steps | None]) -> None:
        before = _read(file)
        self.file, self.making = file, making
        self.begun: Steps = _sound(before, survived) if before.get("making") == making else {}
        self.last_step = dict(self.begun)
        self._write(closed=False)

    def is_new(self, kind: str, step: int) -> bool:
        return step > self.last_step.get(kind, -1)

    def add(self, kind: str, step: int) -> None:
        self.last_step[kind] = step
        self._write(closed=False)

    def close(self) -> None:
        """Records that everything was stored."""
        self._write(closed=True)

    def _write(self, *, closed: bool) -> None:
        noted = {"making": self.making, "begun": self.begun, "last_step": self.last_step, "closed": closed}
        write_whole(self.file, json.dumps(noted))


def _sound(before: Mapping[str, Any], survived: Callable[[], Steps | None]) -> Steps:
    noted, begun = before["last_step"], before["begun"]
    left = noted if before["closed"] else survived()
    if left is None:
        return dict(noted)
    return {kind: max(steps) for kind in noted if (steps := [each[kind] for each in (begun, left) if kind in each])}


def _read(file: Path) -> dict[str, Any]:
    """The record; {} if there is no file or if it is damaged, and then steps are logged again."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    keys = {"making", "begun", "last_step", "closed"}
    return found if isinstance(found, dict) and keys <= found.keys() else {}


def making_of(facts: Mapping[str, Any]) -> str:
    """A hash of everything in run.json that determines a run's numbers: starts with equal hashes do the same steps."""
    recipe = {key: value for key, value in facts.get("recipe", {}).items() if key not in MAY_CHANGE_ON_RESUME}
    of = {"recipe": recipe, **{key: facts.get(key) for key in (*FACTS_OF_THE_SAME_RUN, "ranks", "versions")}}
    return hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()
