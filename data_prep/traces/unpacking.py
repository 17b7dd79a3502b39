"""Limits on what a file may unpack to: small files that unpack without end are refused, long ones show progress.

The cost of a file is bounded by its size on disk: at most `limit` times that is read, in any compressed format (gzip,
zstd, bzip2, Parquet, Arrow). Text packs three to thirty times; gzip can pack 1,000 times, the others far more.
"""

from __future__ import annotations

import io
import math
import os
import sys
import time
from pathlib import Path
from typing import BinaryIO

from recipes.errors import UserError
from recipes.unpack_limit import UNPACK_LIMIT

SPARED_BYTES = 16 * 2**20
"""any file may unpack to this much: a few equal rows pack as well as a malicious file"""
ROW_BYTES = 64
"""cost of a row in addition to its bytes: millions of empty ones take time and memory too"""
PACKED = (".gz", ".zst", ".bz2", ".parquet", ".arrow", ".feather")
NEWS_SECONDS = 15.0
BUFFER_BYTES = 2**20


class Meter:
    """Counts the bytes unpacked from one file. UserError if they exceed its limit; every 15 seconds a line on standard
    error shows their number. `key`: the key under which the user named the file; `limit`: a multiple of the file's size
    (a file that is not packed has no limit)."""

    def __init__(self, path: Path, key: str, limit: int = UNPACK_LIMIT) -> None:
        self.path, self.key, self.limit = path, key, limit
        self.file_bytes = path.stat().st_size
        self.most_bytes = max(SPARED_BYTES, limit * self.file_bytes) if path.suffix.lower() in PACKED else math.inf
        self.unpacked_bytes, self._said = 0, time.monotonic()

    def add(self, count: int) -> None:
        """Counts bytes that were unpacked."""
        self.unpacked_bytes += count
        self.foresee(self.unpacked_bytes)
        if time.monotonic() - self._said > NEWS_SECONDS:
            self._said = time.monotonic()
            if os.environ.get("RANK", "0") == "0":
                print(f"reading {self.path}: {_size(self.unpacked_bytes)} so far", file=sys.stderr, flush=True)

    def add_row(self) -> None:
        """Counts a row whose bytes are counted already."""
        self.add(ROW_BYTES)

    def foresee(self, count: int) -> None:
        """UserError if the file will exceed its limit; `count`: the least that it will unpack to."""
        if count <= self.most_bytes:
            return
        raise UserError(
            f"{self.key}: {self.path} unpacks to {_size(count)} or more from {_size(self.file_bytes)}, and a file may "
            f"unpack to {_size(self.most_bytes)} ({self.limit} times its size, or {_size(SPARED_BYTES)}); "
            f"if that is intended, {self._remedy()}"
        )

    def _remedy(self) -> str:
        if not self.key.endswith(".path"):
            return "unpack it first"
        return f"raise {self.key.removesuffix('.path')}.unpack_limit, or unpack it first"


class MeteredFile(io.RawIOBase):
    """The bytes of a file or an unpacking stream, counted by a meter."""

    def __init__(self, inside: BinaryIO, meter: Meter) -> None:
        self._inside, self._meter = inside, meter

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # as BufferedReader calls it
        content = self._inside.read(len(buffer))
        buffer[: len(content)] = content
        self._meter.add(len(content))
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._inside.close()
        super().close()


def metered(inside: BinaryIO, meter: Meter) -> BinaryIO:
    """A counted, buffered reader of `inside`."""
    return io.BufferedReader(MeteredFile(inside, meter), BUFFER_BYTES)


def _size(count: float) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count:,} bytes"
