"""Reads the actual content of an offline W&B run's file: W&B 0.31 writes it with a delay, so a killed process loses the
rows of its last seconds."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from train.tracked_values import SWEEP_STEP, TRAIN_STEP

READ_SECONDS = 120
REFERENCES = {f"reference/{model}": f"reference/{model}/" for model in ("unpruned", "pruned")}


def starts(wandb: Path, run_id: str) -> list[Path]:
    """The folders of the starts of a run, oldest first; the names of offline ones say so."""
    own = re.compile(rf"(offline-)?run-\d+_\d+-{re.escape(run_id)}(-\d+)?")  # a second start in one second ends in -1
    found = [folder for folder in wandb.glob("*run-*") if own.fullmatch(folder.name)]
    return sorted(found, key=lambda folder: folder.name.removeprefix("offline-"))


def newest_start(wandb: Path, run_id: str) -> Path | None:
    """The folder of the newest start of a run; None before the first."""
    return next(reversed(starts(wandb, run_id)), None)


def is_offline(start: Path) -> bool:
    return start.name.startswith("offline-")


def steps_in(folder: Path) -> dict[str, int] | None:
    """The last step of each kind of row (`train.logged.Logged`) in an offline folder, by W&B's own reader.

    None if the reader fails.
    """
    file = next(folder.glob("run-*.wandb"), None)
    if file is None:
        return {}
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(file)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=READ_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    records = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return last_steps(record["history"]["item"] for record in records if record.get("type") == "history")


def last_steps(history: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """The last step of each kind among rows of history."""
    steps: dict[str, int] = {}
    for row in history:
        for kind, key in (("train", TRAIN_STEP), ("sweep", SWEEP_STEP)):
            if key in row:
                steps[kind] = max(int(row[key]), steps.get(kind, -1))
        for kind, prefix in REFERENCES.items():
            if any(key.startswith(prefix) for key in row):
                steps[kind] = 0
    return steps
