"""The journal of long work: each finished piece is written at once as one line, so a killed process loses none.

Each rank has one file next to the result, `NAME.journal-RANK.jsonl`: a header line that identifies the work, then one
line per piece. A truncated last line, left by a killed process, is removed when the work resumes.
"""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recipes.errors import UserError
from recipes.reading import shown
from runtime.lock import take_lock

Row = dict[str, Any]


class Busy(UserError):
    """Another process is writing the journal."""


class Journal:
    """The journal files of one result. `header` identifies the work; a journal of any other work is refused."""

    def __init__(self, out: Path, header: Mapping[str, Any]) -> None:
        self.out, self.header = out, dict(header)

    def files(self) -> list[Path]:
        """The journal files that exist, of any rank."""
        return sorted(self.out.parent.glob(f"{glob.escape(self.out.name)}.journal-*.jsonl"))

    def rows(self) -> list[Row]:
        """Every finished piece; truncated last lines are removed from the files.

        One process at a time, before any `writer`. UserError if a file belongs to other work, or is being written.
        """
        pieces: list[Row] = []
        for path in self.files():
            try:
                file = path.open("r+b")
            except FileNotFoundError:
                continue  # another process has just ended the same work
            with file:
                _lock(file, path)
                content = _whole_lines(file.read())
                file.truncate(len(content))  # or the next piece would be appended to half a line
            for number, line in enumerate(content.splitlines()):
                row = _parsed(line, path, number)
                if number == 0:
                    self._check_header(row, path)
                else:
                    pieces.append(row)
        return pieces

    def _check_header(self, header: Row, path: Path) -> None:
        different = differences(header, self.header)
        if different:
            raise UserError(
                f"{path} belongs to other work: {different}; restore these values, choose another place "
                "to write to, or remove the file"
            )

    @contextmanager
    def writer(self, rank: int) -> Iterator[JournalWriter]:
        """The file of one rank, to add pieces to; UserError if another process is adding to it."""
        path = self.out.with_name(f"{self.out.name}.journal-{rank}.jsonl")
        try:
            # unbuffered: otherwise a failed write would be tried again when the file is closed
            file = path.open("ab", buffering=0)
        except OSError as fault:
            raise UserError(f"{path}: cannot be written ({fault.strerror})") from None
        with file:
            _lock(file, path)
            writer = JournalWriter(file)
            if file.tell() == 0:
                writer.add(self.header)
            yield writer

    def remove(self) -> None:
        """Removes the files, once the result is written."""
        for path in self.files():
            path.unlink(missing_ok=True)


def remove_left_journals(folder: Path, name: str) -> None:
    """Removes the journals of results called `name` (a pattern) that no process is writing."""
    for path in folder.glob(f"{name}.journal-*.jsonl"):
        try:
            with path.open("rb") as file:
                _lock(file, path)
                path.unlink()
        except (Busy, FileNotFoundError):
            continue


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The keys in which two headers differ, with both values; "" if they are equal."""
    different = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    return ", ".join(f"{key} ({shown(before.get(key))} there, {shown(now.get(key))} now)" for key in different)


class JournalWriter:
    """Adds lines; each is handed to the operating system at once, where it survives the end of this process.

    OSError if it cannot be written. Nothing may be added after that: the file may end in half a line.
    """

    def __init__(self, file: Any) -> None:
        self._file = file

    def add(self, row: Mapping[str, Any]) -> None:
        line = memoryview((json.dumps(row) + "\n").encode())
        while line:
            line = line[self._file.write(line) :]


def _whole_lines(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]


def _parsed(line: bytes, path: Path, number: int) -> Row:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise UserError(f"{path}:{number + 1}: damaged (not a line of a journal); remove the line or the file")
    return row


def _lock(file: Any, path: Path) -> None:
    if not take_lock(file):
        raise Busy(f"{path}: another process is writing it; wait for it, or choose another place")
