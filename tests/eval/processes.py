"""Whether processes still run."""

from __future__ import annotations

import os
import select

PATIENCE_SECONDS = 10.0


def is_running(pid: int) -> bool:
    """Whether a process still works; one that is dead but not fetched by its parent does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def has_ended(pid: int) -> bool:
    """Whether a process that was killed has ended; a kill takes a moment, which is waited for."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with os.fdopen(handle):
        return bool(select.select([handle], [], [], PATIENCE_SECONDS)[0])
