"""One run at a time in a run folder: rank 0 holds the lock of its file `.lock`, which names the holder.

The lock belongs to the process and is released however the process ends, on a network file system too. If a killed run
leaves children behind, they do not inherit it, as they would that of `runtime.lock`. A dead process therefore never
blocks a run, and nothing has to be removed by hand. filelock has no such lock: its native one is `flock`, which
children inherit, and its others are files that remain when a process is killed.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Literal

from recipes.errors import UserError
from runtime.ranks import Ranks, on_first_rank

LOCK = ".lock"
HELD = {errno.EACCES, errno.EAGAIN}
Presence = Literal["running", "killed", "left", "unknown"]


@contextmanager
def alone_in(folder: Path, ranks: Ranks, say: Callable[[str], None]) -> Iterator[None]:
    """The run folder, made if it is missing, for this run alone; all ranks must call it.

    UserError, on all ranks, if another process runs in it or it cannot be written. `say` is told if the file system has
    no locks. A folder in which nothing was written is removed again.
    """
    with ExitStack() as held:
        on_first_rank(ranks, lambda: held.enter_context(_held(folder, say)))
        yield


def check_free(folder: Path) -> None:
    """UserError if a run is active in the folder; nothing is written. Not for a process that holds the lock itself: it
    would lose it."""
    try:
        with (folder / LOCK).open("r+") as file:
            _take(file, folder)
    except OSError:
        return  # no lock file, or none that can be written, or no locks: reported when the lock is taken


def presence(folder: Path) -> Presence:
    """Whether a run is active in the folder; nothing is written.

    "killed": its process ended without releasing the lock; "left": it released it; "unknown": there is no lock file or
    there are no locks, or the holder was on another machine and this may be a copy of its folder. Not for a process
    that holds the lock itself: it would lose it.
    """
    try:
        file = (folder / LOCK).open(encoding="utf-8", errors="replace")
    except OSError:
        return "unknown"
    with file:
        try:
            # shared, so that several may ask at once; a run that starts in these microseconds is refused
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as fault:
            return "running" if fault.errno in HELD else "unknown"
        text = file.read()
    if not text:
        return "left"
    return "killed" if _host(text) == socket.gethostname() else "unknown"


@contextmanager
def _held(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # a link is not followed: its target would be overwritten
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        file = os.fdopen(os.open(folder / LOCK, flags, 0o666), "a+")
    except OSError as fault:
        raise UserError(f"run.dir={folder}: cannot be written ({fault.strerror}); name another folder") from None
    with file:
        try:
            _take(file, folder)
        except OSError as fault:  # refusing to work there would not help
            say(f"run.dir={folder}: no locks there ({fault.strerror}); do not start a second run in it")
        _write(file, {"host": socket.gethostname(), "process": os.getpid(), "started": time.strftime("%F %T%z")})
        try:
            yield
        finally:
            _leave(file, folder)


def _take(file: IO[str], folder: Path) -> None:
    """The lock of an open file. UserError if another process has it; OSError if there are no locks."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as fault:
        if fault.errno not in HELD:
            raise
        file.seek(0)
        raise UserError(
            f"run.dir={folder}: {_holder(file.read())} is running in it, and a folder belongs to one run at a time; "
            "wait for it, stop it (SIGTERM: it saves and ends), or name another folder"
        ) from None


def _holder(text: str) -> str:
    """Who holds a lock, in words, from the contents of its file."""
    try:
        known = json.loads(text)
        return f"process {int(known['process'])} on {known['host']!s:.100} (since {known['started']!s:.40})"
    except (ValueError, TypeError, KeyError):
        return "another process"  # it has just taken the lock and not yet written its name


def _host(text: str) -> str:
    """The machine of a holder; "" if the file does not say."""
    try:
        return str(json.loads(text)["host"])
    except (ValueError, TypeError, KeyError):
        return ""


def _write(file: IO[str], content: dict[str, object]) -> None:
    file.seek(0)
    file.truncate()
    file.write(json.dumps(content))
    file.flush()


def _leave(file: IO[str], folder: Path) -> None:
    """Empties the lock file, and removes a folder that has nothing else in it."""
    with suppress(OSError):  # somebody may have removed the folder
        file.truncate(0)
        if [path.name for path in folder.iterdir()] == [LOCK]:
            (folder / LOCK).unlink()
            folder.rmdir()
