"""Folders that are made once: whole or not at all, by one process at a time, and checked before they are used again."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from recipes.errors import UserError

SEAL = "seal.json"
"""the file that says what a whole folder holds: name -> bytes and SHA-256"""

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

Outcome = Literal["found", "made", "found damaged and made again"]


def make_once(folder: Path, make: Callable[[Path], None], say: Callable[[str], None]) -> Outcome:
    """Fills `folder` by `make(temporary folder)` unless it is there, sound, already.

    Another process that makes the same is waited for, where the file system has locks; where it has none, whoever is
    first gives the folder, and the work of the other is thrown away. What a process leaves that dies half-way has
    another name and is never read. UserError where nothing can be written there; any other fault of the system (a
    source that cannot be read) goes on as it came.
    """
    if (fault := damage(folder)) is None:
        return "found"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with alone(folder, say):
            fault = damage(folder)
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


def _says_unwritable(problem: OSError, place: Path) -> bool:
    """Whether it is `place` that cannot be written; a full disk names no file."""
    where = Path(os.fsdecode(problem.filename)) if isinstance(problem.filename, str | bytes) else place
    return problem.errno in UNWRITABLE and (where in place.parents or where.is_relative_to(place))


def _make(folder: Path, make: Callable[[Path], None]) -> None:
    """A sealed folder under a temporary name, then renamed; a sound one that came in between is kept."""
    for stale in folder.parent.glob(f".{folder.name}.{socket.gethostname()}.*"):
        if not _is_alive(int(stale.name.rpartition(".")[2])):
            shutil.rmtree(stale, ignore_errors=True)
    temporary = folder.with_name(f".{folder.name}.{socket.gethostname()}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        make(temporary)
        _seal(temporary)
        if folder.exists() and damage(folder) is not None:
            shutil.rmtree(folder)
        try:
            temporary.rename(folder)
        except OSError:
            if damage(folder) is not None:
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def alone(place: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Holds the lock of a file or folder to be made, waiting as long as another does, which a line says.

    The lock of a process that dies is free. Without one where the file system knows none.
    """
    with place.with_name(f".{place.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run that makes {place}")
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            pass
        yield


def _seal(folder: Path) -> None:
    files = {path.name: {"bytes": path.stat().st_size, "sha256": _hash(path)} for path in sorted(folder.iterdir())}
    (folder / SEAL).write_text(json.dumps(files, indent=2) + "\n", encoding="utf-8")


MISSING = "there is none"


def damage(folder: Path) -> str | None:
    """What is wrong with a folder, in words; None where every file is, byte for byte, as it was sealed."""
    if not folder.exists():
        return MISSING
    try:
        sealed = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        for name, facts in sealed.items():
            if (folder / name).stat().st_size != facts["bytes"]:
                return f"{name} has another size"
            if _hash(folder / name) != facts["sha256"]:
                return f"{name} has other bytes"
    except (OSError, ValueError, AttributeError, TypeError, KeyError) as fault:
        return f"{type(fault).__name__}: {fault}"
    return None


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
