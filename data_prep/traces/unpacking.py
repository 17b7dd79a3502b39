"""How much a file may unpack to: a small one that unpacks without end is refused, and a long one shows how far it is.

What a file costs follows its size on the disk: at most `limit` times that is read of it, in any format that packs
(gzip, zstd, bzip2, Parquet, Arrow). Text packs three to thirty times; gzip can pack 1,000 times, the others far more.
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
"""so much may come of any file: a few rows that are all alike pack as well as a file that is meant to do harm"""
ROW_BYTES = 64
"""what a row counts beside its bytes: millions of empty ones cost time and memory too"""
PACKED = (".gz", ".zst", ".bz2", ".parquet", ".arrow", ".feather")
NEWS_SECONDS = 15.0
BUFFER_BYTES = 2**20


class Meter:
    """Counts what comes of one file. UserError where that is more than its limit; every 15 seconds a line on standard
    error says how much it is. `key`: what the user wrote the file under; `limit`: times the file's size (a file that
    is not packed has none)."""

    def __init__(self, path: Path, key: str, limit: int = UNPACK_LIMIT) -> None:
        self.path, self.key, self.limit = path, key, limit
        self.file_bytes = path.stat().st_size
        self.most_bytes = max(SPARED_BYTES, limit * self.file_bytes) if path.suffix.lower() in PACKED else math.inf
        self.unpacked_bytes, self._said = 0, time.monotonic()

    def add(self, count: int) -> None:
        """So many bytes more have come of the file."""
        self.unpacked_bytes += count
        self.foresee(self.unpacked_bytes)
        if time.monotonic() - self._said > NEWS_SECONDS:
            self._said = time.monotonic()
            if os.environ.get("RANK", "0") == "0":
                print(f"reading {self.path}: {_size(self.unpacked_bytes)} so far", file=sys.stderr, flush=True)

    def add_row(self) -> None:
        """One more row has come of the file, of bytes that are counted already."""
        self.add(ROW_BYTES)

    def foresee(self, count: int) -> None:
        """UserError where the file will come to more than its limit; `count`: the least that it will come to."""
        if count <= self.most_bytes:
            return
        raise UserError(
            f"{self.key}: {self.path} unpacks to {_size(count)} or more from {_size(self.file_bytes)}, and a file may "
            f"unpack to {_size(self.most_bytes)} ({self.limit} times its size, or {_size(SPARED_BYTES)}); "
            f"if that is meant, {self._remedy()}"
        )

    def _remedy(self) -> str:
        if not self.key.endswith(".path"):
            return "unpack it first"
        return f"raise {self.key.removesuffix('.path')}.unpack_limit, or unpack it first"


class MeteredFile(io.RawIOBase):
    """The bytes of a file or an unpacking stream, as a meter counts them."""

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
    """`inside` for reading in any portions, counted."""
    return io.BufferedReader(MeteredFile(inside, meter), BUFFER_BYTES)


def _size(count: float) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count:,} bytes"
