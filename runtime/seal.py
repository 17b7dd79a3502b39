"""The mark of a complete checkpoint: a file COMPLETE with the size and the SHA-256 of every other file, written last.

    {"step": 8, "files": {"model.safetensors": [1234, "9f86…"], …}, "sha256": "…of the above"}

A mark of an earlier version holds the step alone: such a checkpoint is taken as it is, since nothing says what its
files were.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

COMPLETE = "COMPLETE"
CHUNK_BYTES = 1 << 22

Facts = tuple[int, str]
"""bytes and SHA-256 (hex) of a file"""


def files_of(checkpoint: Path) -> list[str]:
    """All files of a checkpoint but its mark, as paths below it, the largest first."""
    found = [path for path in checkpoint.rglob("*") if path.is_file() and path.name != COMPLETE]
    return [path.relative_to(checkpoint).as_posix() for path in sorted(found, key=lambda p: (-p.stat().st_size, p))]


def share_of(names: Sequence[str], rank: int, ranks: int) -> Sequence[str]:
    """One rank's share of files that are sorted by size."""
    return names[rank::ranks]


def facts_of(file: Path) -> Facts:
    """Size and hash of a file that must outlast a loss of power: it is flushed to the disk first."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
    return _measured(file)


def seal_text(step: int, files: Mapping[str, Facts]) -> str:
    """What COMPLETE holds."""
    body: dict[str, Any] = {"step": step, "files": {name: list(files[name]) for name in sorted(files)}}
    return json.dumps({**body, "sha256": _own_hash(body)}, indent=1) + "\n"


def read_seal(checkpoint: Path) -> dict[str, Facts] | None:
    """The files that the mark names, with their facts; None for a mark that names none (an earlier version's).

    ValueError where the mark itself is damaged.
    """
    text = (checkpoint / COMPLETE).read_text(encoding="utf-8", errors="replace").strip()
    if not text or text.isdigit():
        return None
    mark = json.loads(text)
    if not isinstance(mark, dict) or mark.pop("sha256", None) != _own_hash(mark):
        raise ValueError("its own hash differs")
    return {name: (int(size), str(digest)) for name, (size, digest) in mark["files"].items()}


def damage(checkpoint: Path, names: Iterable[str], marked: Mapping[str, Facts]) -> list[str]:
    """What is wrong with the named files, a line each; [] where all are as they were marked."""
    return [line for name in names if (line := _damage(checkpoint / name, name, *marked[name]))]


def damage_of(checkpoint: Path, endings: tuple[str, ...] = ("",)) -> list[str]:
    """`damage` of a whole checkpoint, or of its files with such endings, by one process; [] where there is no mark."""
    if not (checkpoint / COMPLETE).is_file():
        return []
    try:
        marked = read_seal(checkpoint) or {}
    except (ValueError, KeyError, TypeError) as fault:
        return [f"{COMPLETE} is damaged ({fault})"]
    return damage(checkpoint, [name for name in marked if name.endswith(endings)], marked)


def _damage(file: Path, name: str, size: int, digest: str) -> str:
    try:
        there = file.stat().st_size
        if there != size:
            return f"{name} has {there:,} bytes in place of {size:,}"
        return "" if _measured(file)[1] == digest else f"{name} has other bytes than were saved"
    except FileNotFoundError:
        return f"{name} is missing"
    except OSError as fault:
        return f"{name} cannot be read ({fault.strerror})"


def _measured(file: Path) -> Facts:
    digest, size = hashlib.sha256(), 0
    buffer = memoryview(bytearray(CHUNK_BYTES))
    with file.open("rb", buffering=0) as opened:
        while count := opened.readinto(buffer):
            digest.update(buffer[:count])
            size += count
    return size, digest.hexdigest()


def _own_hash(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
