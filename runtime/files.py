"""Atomic writes: files and folders appear whole or not at all, written under a temporary name first; JSON Lines."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from recipes.errors import UserError

Row = dict[str, Any]
TRIAL_BYTES = 1 << 16


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path next to `path` to write to; it replaces `path` when the block ends without an exception.

    Parent folders are made. After an exception the temporary file is removed, and what was at `path` is untouched.
    """
    with _temporary(path) as temporary:
        yield temporary
        temporary.replace(path)


@contextmanager
def creating(path: Path) -> Iterator[Path]:
    """As `replacing`, for a file that must be new: FileExistsError if there is one at `path` by then."""
    with _temporary(path) as temporary:
        yield temporary
        os.link(temporary, path)  # unlike a rename, this never replaces a file that has appeared meanwhile


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder next to `path` to fill; it becomes `path` when the block ends without an exception.

    Parent folders are made. `path` must not exist, or be an empty folder. After an exception nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def writing_fault(folder: Path) -> str | None:
    """Why `folder`, which is made if missing, cannot be written, in the system's words; None if it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as trial:
            trial.write(bytes(TRIAL_BYTES))  # a full disk still has room for an empty file
            trial.flush()
    except OSError as fault:
        return fault.strerror or str(fault)
    return None


def folder_fault(path: Path) -> str | None:
    """Why a folder cannot replace what is at `path`, in words; None if it can. A link is not followed: its target
    belongs to somebody else."""
    if path.is_symlink():
        return f"is a link to {os.readlink(path)}, which is not followed"
    return "is a file" if path.exists() and not path.is_dir() else None


def link_out(folder: Path, skipped: Collection[str] = ()) -> Path | None:
    """A link anywhere in a folder that leads out of it, which a write there would follow; None if there is none.
    `skipped`: folders directly inside that are not checked."""
    home = folder.resolve()
    for place, folders, files in os.walk(folder):  # it does not follow links itself
        here = Path(place)
        for name in sorted([*folders, *files]):
            if (here / name).is_symlink() and not (here / name).resolve().is_relative_to(home):
                return here / name
        if here == folder:
            folders[:] = [name for name in folders if name not in skipped]
    return None


def write_whole(path: Path, text: str) -> None:
    """Writes `text` to `path` in UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_rows(path: Path) -> list[Row]:
    """The rows of a JSON Lines file; [] without the file. UserError (file:line) for a line that is not JSON.

    Only a newline ends a line. A last line without one is still being written, or its process was killed: it is not a
    row.
    """
    if not path.is_file():
        return []
    *lines, _ = path.read_bytes().split(b"\n")
    rows = objects_of(lines)
    return _one_by_one(path, lines) if rows is None else rows


def objects_of(lines: Sequence[bytes]) -> list[Row] | None:
    """The JSON objects of lines of one object each, in one call, which takes two thirds of the time of a call per line;
    None if some line is anything else."""
    if not all(line[:1] == b"{" and line[-1:] == b"}" for line in lines):
        return None
    try:
        rows: list[Row] = json.loads(b"[" + b",".join(lines) + b"]")
    except ValueError:
        return None
    # fewer or more: a line holds several objects, or a part of one
    return rows if len(rows) == len(lines) else None


def _one_by_one(path: Path, lines: Sequence[bytes]) -> list[Row]:
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(json.loads(line))
        except ValueError as fault:
            raise UserError(f"{path}:{number}: not JSON ({fault})") from None
    return rows


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes all rows of a JSON Lines file."""
    write_whole(path, as_lines(rows))


def as_lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """The text of a JSON Lines file."""
    return "".join(_line(row) for row in rows)


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Adds one row at the end of a JSON Lines file, at a cost that does not depend on how many there are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # one write of a few hundred bytes; if a kill leaves part of it, that has no newline and `read_rows` skips it
    with path.open("ab", buffering=0) as file:
        file.write(_line(row).encode())


def put_rows(path: Path, rows: Iterable[Mapping[str, Any]], key: tuple[str, ...]) -> None:
    """Adds rows; one whose `key` fields are in the file already replaces the old row."""
    by_key = {tuple(row.get(field) for field in key): row for row in [*read_rows(path), *rows]}
    write_rows(path, by_key.values())


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
