"""Whether processes still run."""

from __future__ import annotations


def is_running(pid: int) -> bool:
    """Whether a process still works; one that is dead but not fetched by its parent does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
