"""The journal of long work: every finished piece is one line at once, so that a killed process loses none of them.

One file a rank beside the result, `NAME.journal-RANK.jsonl`: a header line that says what is worked on, then one line a
piece. A line that a kill cut short is taken away when the work goes on.
"""

from __future__ import annotations

import fcntl
import glob
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recipes.errors import UserError
from recipes.reading import shown

Row = dict[str, Any]


class Busy(UserError):
    """Another process is writing the journal."""


class Journal:
    """The journal files of one result. `header`: what is worked on; a journal of anything else is refused."""

    def __init__(self, out: Path, header: Mapping[str, Any]) -> None:
        self.out, self.header = out, dict(header)

    def files(self) -> list[Path]:
        """The files there are."""
        return sorted(self.out.parent.glob(f"{glob.escape(self.out.name)}.journal-*.jsonl"))

    def rows(self) -> list[Row]:
        """Every finished piece; cut last lines are taken off the files. One process at a time, before any `writer`.

        UserError where a file belongs to other work, or to work under way.
        """
        found: list[Row] = []
        for path in self.files():
            try:
                file = path.open("r+b")
            except FileNotFoundError:
                continue  # another process has just ended the same work
            with file:
                _lock(file, path)
                whole = _whole_lines(file.read())
                file.truncate(len(whole))
            for number, line in enumerate(whole.splitlines()):
                row = _parsed(line, path, number)
                if number == 0:
                    self._check_header(row, path)
                else:
                    found.append(row)
        return found

    def _check_header(self, header: Row, path: Path) -> None:
        said = differences(header, self.header)
        if said:
            raise UserError(
                f"{path} belongs to other work: {said}; put the values back, name another place to "
                "write to, or remove it"
            )

    @contextmanager
    def writer(self, rank: int) -> Iterator[JournalWriter]:
        """The file of one rank, to add pieces to; UserError where another process is adding to it."""
        path = self.out.with_name(f"{self.out.name}.journal-{rank}.jsonl")
        try:
            file = path.open("ab")
        except OSError as fault:
            raise UserError(f"{path}: cannot be written ({fault.strerror})") from None
        with file:
            _lock(file, path)
            writer = JournalWriter(file)
            if file.tell() == 0:
                writer.add(self.header)
            yield writer

    def remove(self) -> None:
        """Takes the files away, when the result is there."""
        for path in self.files():
            path.unlink(missing_ok=True)


def remove_left_journals(folder: Path, name: str) -> None:
    """Takes away the journals of results called `name` (a pattern) that no process is writing."""
    for path in folder.glob(f"{name}.journal-*.jsonl"):
        try:
            with path.open("rb") as file:
                _lock(file, path)
                path.unlink()
        except (Busy, FileNotFoundError):
            continue


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The keys in which two headers differ, with both values; "" where they are the same."""
    different = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    return ", ".join(f"{key} ({shown(before.get(key))} there, {shown(now.get(key))} now)" for key in different)


class JournalWriter:
    """Adds lines, each handed to the system before the next piece is waited for."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def add(self, row: Mapping[str, Any]) -> None:
        self._file.write((json.dumps(row) + "\n").encode())
        self._file.flush()


def _whole_lines(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]


def _parsed(line: bytes, path: Path, number: int) -> Row:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise UserError(f"{path}:{number + 1}: damaged, it is no line of a journal; remove the line or the file")
    return row


def _lock(file: Any, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Busy(f"{path}: another process is writing it; wait for it, or name another place") from None
