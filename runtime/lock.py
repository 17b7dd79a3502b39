"""Locks on files, by filelock. They are advisory (`flock`), and the system frees the lock of a process that dies.

`filelock.FileLock` opens its file itself. A folder that cannot be written would then look like a file system without
locks; and a journal locks the very file that it writes. `lock_descriptor` therefore locks a file that we opened, so
that the two kinds of error can be told apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from filelock import lock_descriptor


def take_lock(file: IO[Any]) -> bool:
    """Takes the lock of an open file until it is closed; False, at once, if another process holds it.

    True, without a lock, if the file system has none.
    """
    try:
        return lock_descriptor(file.fileno(), blocking=False)
    except OSError:  # some network file systems have no locks; refusing to work there would not help
        return True


@contextmanager
def hold_lock(place: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Holds the lock of a file or folder that is to be made; waits while another process holds it.

    `say` is told once that it waits. The lock is a hidden file next to `place`, whose folder must exist.
    """
    with place.with_name(f".{place.name}.lock").open("w") as file:
        if not take_lock(file):
            say(f"waiting for another run that makes {place}")
            lock_descriptor(file.fileno())
        yield
