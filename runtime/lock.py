"""Locks on files. They are advisory (`flock`), and the system frees the lock of a process that dies."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


def take_lock(file: IO[Any]) -> bool:
    """Takes the lock of an open file until it is closed; False, at once, where another process holds it.

    True without a lock where the file system has none.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems have no locks; refusing to work there would help nobody
        pass
    return True


@contextmanager
def hold_lock(place: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Holds the lock of a file or folder that is to be made, waiting as long as another process holds it.

    `say` is told once that it waits. The lock is a hidden file beside `place`, whose folder must exist.
    """
    with place.with_name(f".{place.name}.lock").open("w") as file:
        if not take_lock(file):
            say(f"waiting for another run that makes {place}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
