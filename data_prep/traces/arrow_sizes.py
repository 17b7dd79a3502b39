"""The unpacked sizes of the compressed buffers of an Arrow file, read before anything is unpacked.

pyarrow unpacks a whole batch before it tells how large it is, and a few kilobytes may hold many gigabytes. Each
compressed buffer begins with its unpacked length, and the message gives its position (the Arrow columnar format,
"Encapsulated message format"; the messages are FlatBuffers). Only these numbers are read: a few reads per batch.
Anything malformed ends the reading, since pyarrow reports it better.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

FILE_MARK = b"ARROW1\x00\x00"
CONTINUES = 0xFFFFFFFF
LONGEST_METADATA_BYTES = 2**28
DICTIONARY_BATCH, RECORD_BATCH = 2, 3
PREFIX_BYTES = 8


class Table:
    """A FlatBuffers table: its fields by number, as numbers or as positions of other tables and vectors."""

    def __init__(self, buffer: bytes, place: int) -> None:
        self.buffer, self.place = buffer, place

    def at(self, field: int) -> int | None:
        """The position of a field; None if the table lacks it."""
        names = self.place - _read("<i", self.buffer, self.place)
        entry = 4 + 2 * field
        offset = _read("<H", self.buffer, names + entry) if entry < _read("<H", self.buffer, names) else 0
        return self.place + offset if offset else None

    def number(self, field: int, kind: str) -> int:
        place = self.at(field)
        return 0 if place is None else _read(kind, self.buffer, place)

    def table(self, field: int) -> Table | None:
        place = self.at(field)
        return None if place is None else Table(self.buffer, place + _read("<I", self.buffer, place))

    def pairs(self, field: int) -> list[tuple[int, int]]:
        """A vector of structs of two 64-bit numbers."""
        place = self.at(field)
        if place is None:
            return []
        start = place + _read("<I", self.buffer, place)
        count = _read("<I", self.buffer, start)
        content = self.buffer[start + 4 : start + 4 + 16 * count]
        return list(struct.iter_unpack("<qq", content))


def unpacked_sizes(file: Any) -> Iterator[int]:
    """The unpacked bytes of each compressed buffer of an Arrow file or stream, in order."""
    try:
        start = len(FILE_MARK) if file.read(len(FILE_MARK)) == FILE_MARK else 0
        while True:
            file.seek(start)
            marker, size = struct.unpack("<Ii", file.read(8))
            if marker != CONTINUES or not 0 < size < LONGEST_METADATA_BYTES:
                return
            message = file.read(size)
            root = Table(message, _read("<I", message, 0))
            body = start + 8 + size
            yield from _of_message(root, body, file)
            start = body + max(0, root.number(3, "<q"))
    except (struct.error, OSError, ValueError, OverflowError):
        return


def _of_message(root: Table, body: int, file: Any) -> Iterator[int]:
    batch = root.table(2)
    if batch is not None and root.number(1, "<B") == DICTIONARY_BATCH:
        batch = batch.table(1)
    elif root.number(1, "<B") != RECORD_BATCH:
        return
    if batch is None or batch.table(3) is None:  # not compressed: its buffers are no larger than the file
        return
    for offset, length in batch.pairs(2):
        if length > PREFIX_BYTES and offset >= 0:
            file.seek(body + offset)
            yield max(0, *struct.unpack("<q", file.read(PREFIX_BYTES)))  # -1: this one is not compressed


def _read(kind: str, buffer: bytes, place: int) -> int:
    if place < 0:
        raise ValueError("a position before the start")
    (number,) = struct.unpack_from(kind, buffer, place)
    return int(number)
