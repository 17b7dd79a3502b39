"""Which steps a tracker has already: a run that resumes does some again, and none is logged twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtime.files import write_whole
from train.opening import FACTS_OF_THE_SAME_RUN, MAY_CHANGE_ON_RESUME


class Logged:
    """The last step that was logged of each kind, kept in `file` beside the tracker's own.

    A start that trains otherwise (`making`: another recipe, data, number of ranks, version) gets other numbers, and
    logs the steps that it does again.
    """

    def __init__(self, file: Path, making: str) -> None:
        self.file, self.making = file, making
        before = _read(file)
        self.last_step: dict[str, int] = before["last_step"] if before.get("making") == making else {}

    def is_new(self, kind: str, step: int) -> bool:
        return step > self.last_step.get(kind, -1)

    def add(self, kind: str, step: int) -> None:
        self.last_step[kind] = step
        write_whole(self.file, json.dumps({"making": self.making, "last_step": self.last_step}))


def _read(file: Path) -> dict[str, Any]:
    """What was noted; {} for no file, and for one that is damaged, after which steps are logged again."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("last_step"), dict) else {}


def making_of(facts: Mapping[str, Any]) -> str:
    """A hash of all in run.json on which the numbers of a run depend: two starts of the same one do the same steps."""
    recipe = {key: value for key, value in facts.get("recipe", {}).items() if key not in MAY_CHANGE_ON_RESUME}
    of = {"recipe": recipe, **{key: facts.get(key) for key in (*FACTS_OF_THE_SAME_RUN, "ranks", "versions")}}
    return hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()
