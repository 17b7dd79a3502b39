"""Folders that are made once: whole or not at all, by one process at a time, and checked before they are used again."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from recipes.errors import UserError
from runtime.lock import hold_lock
from runtime.seal import COMPLETE, damage, read_seal, seal

UNWRITABLE = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
}
"""error numbers of a folder that cannot be written"""

MISSING = "it does not exist"
Outcome = Literal["found", "made", "found damaged and made again"]


def make_once(folder: Path, make: Callable[[Path], None], say: Callable[[str], None]) -> Outcome:
    """Fills `folder` by `make(temporary folder)` unless it exists already and is sound.

    If the file system has locks, waits for another process that makes the same folder. If it has none, the first
    process to finish provides the folder, and the other's work is thrown away. A process that dies half-way leaves only
    a folder of another name, which is never read. UserError if nothing can be written there; any other error of the
    system (such as an unreadable source) is raised unchanged.
    """
    if fault_of(folder) is None:
        return "found"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with hold_lock(folder, say):
            fault = fault_of(folder)  # again: another process may have made it while this one waited
            if fault is None:
                return "found"
            if folder.exists():
                say(f"{folder} is damaged ({fault}) and is made again")
            _make(folder, make)
            return "made" if fault == MISSING else "found damaged and made again"
    except OSError as problem:
        if not _says_unwritable(problem, folder.parent):
            raise
        raise UserError(
            f"data.cache_dir={folder.parent}: cannot be written ({os.strerror(problem.errno or 0)}); "
            "name another folder"
        ) from None


def fault_of(folder: Path) -> str | None:
    """What is wrong with a folder, in words; None if every file is byte for byte as it was sealed."""
    if not folder.exists():
        return MISSING
    try:
        sealed = read_seal(folder)
    except OSError:
        return f"{COMPLETE} is missing"
    except ValueError as fault:
        return f"{COMPLETE} is damaged ({fault})"
    if sealed is None:  # an empty file: a loss of power may leave one in place of a file just written
        return f"{COMPLETE} is empty"
    return "; ".join(damage(folder, sealed, sealed)) or None


def _says_unwritable(problem: OSError, place: Path) -> bool:
    """Whether the error is that `place` cannot be written; one for a full disk names no file."""
    where = Path(os.fsdecode(problem.filename)) if isinstance(problem.filename, str | bytes) else place
    return problem.errno in UNWRITABLE and (where in place.parents or where.is_relative_to(place))


def _make(folder: Path, make: Callable[[Path], None]) -> None:
    """A sealed folder under a temporary name, then renamed; a sound one that appeared meanwhile is kept."""
    for stale in folder.parent.glob(f".{folder.name}.{socket.gethostname()}.*"):
        if not _is_alive(int(stale.name.rpartition(".")[2])):
            shutil.rmtree(stale, ignore_errors=True)
    # The name holds the machine too: on a shared file system, process numbers of two machines may be equal.
    temporary = folder.with_name(f".{folder.name}.{socket.gethostname()}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        make(temporary)
        seal(temporary)
        if folder.exists() and fault_of(folder) is not None:
            shutil.rmtree(folder)
        try:
            temporary.rename(folder)
        except OSError:  # without locks another process may have been faster; its folder will do if it is sound
            if fault_of(folder) is not None:
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it belongs to another user
        return True
    return True
