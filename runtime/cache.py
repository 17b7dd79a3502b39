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
"""what the system says where a folder cannot be written"""

MISSING = "it does not exist"
Outcome = Literal["found", "made", "found damaged and made again"]


def make_once(folder: Path, make: Callable[[Path], None], say: Callable[[str], None]) -> Outcome:
    """Fills `folder` by `make(temporary folder)` unless it exists already and is sound.

    Waits for another process that makes the same folder, where the file system has locks; where it has none, the first
    to finish provides the folder, and the work of the other is thrown away. What a process leaves that dies half-way
    has another name and is never read. UserError where nothing can be written there; any other fault of the system (a
    source that cannot be read) is raised as it came.
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
    """What is wrong with a folder, in words; None where every file is, byte for byte, as it was sealed."""
    if not folder.exists():
        return MISSING
    try:
        sealed = read_seal(folder)
    except OSError:
        return f"{COMPLETE} is missing"
    except ValueError as fault:
        return f"{COMPLETE} is damaged ({fault})"
    if sealed is None:  # an empty file: what a loss of power may leave of one just written
        return f"{COMPLETE} is empty"
    return "; ".join(damage(folder, sealed, sealed)) or None


def _says_unwritable(problem: OSError, place: Path) -> bool:
    """Whether it is `place` that cannot be written; a full disk names no file."""
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
        except OSError:  # without locks another process may have been faster; its folder is as good if it is sound
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
