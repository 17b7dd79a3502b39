"""Files that appear whole or not at all: written under a temporary name, then given their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it takes the place of `path` when the block ends without a fault.

    Folders above are made. After a fault the temporary file is removed, and what was at `path` is untouched.
    """
    with _temporary(path) as temporary:
        yield temporary
        temporary.replace(path)


@contextmanager
def creating(path: Path) -> Iterator[Path]:
    """As `replacing`, for a file that must be new: FileExistsError where there is one at `path` by then."""
    with _temporary(path) as temporary:
        yield temporary
        os.link(temporary, path)  # unlike a rename, this never takes the place of a file that has come meanwhile


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Writes `text` to `path` in UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
