"""The seal of a folder: a file COMPLETE with the size and the SHA-256 of every other file, written last.

    {"step": 8, "run": "1c9e…", "files": {"model.safetensors": [1234, "9f86…"], …}, "sha256": "…of the above"}

The seal of a single file (samples of a sweep, generated traces) is next to it, NAME.sha256. Only the seal of a
checkpoint has step and run. Checkpoints of earlier versions have a seal without hashes; they are accepted unverified.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runtime.files import creating, replacing, write_whole

COMPLETE = "COMPLETE"
CHUNK_BYTES = 1 << 22

FILE_SEAL = ".sha256"
"""suffix of the seal of a single file, in place of the file's own"""

Facts = tuple[int, str]
"""bytes and SHA-256 (hex) of a file"""


def files_of(folder: Path) -> list[str]:
    """All files of a folder except its seal, as relative paths, the largest first."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != COMPLETE]
    return [path.relative_to(folder).as_posix() for path in sorted(paths, key=lambda p: (-p.stat().st_size, p))]


def share_of(names: Sequence[str], rank: int, ranks: int) -> Sequence[str]:
    """One rank's share of files that are sorted by size."""
    return names[rank::ranks]


def facts_of(file: Path) -> Facts:
    """Size and hash of a file that must survive a loss of power: it is flushed to the disk first."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
    return _measured(file)


def seal_text(step: int, files: Mapping[str, Facts], run: str | None = None) -> str:
    """The contents of COMPLETE for a checkpoint of the run with the id `run`."""
    return _signed({"step": step, **({"run": run} if run else {}), "files": _sorted(files)})


def seal(folder: Path) -> None:
    """Seals a folder that is not a checkpoint: hashes its files and writes COMPLETE, by one process."""
    files = {name: facts_of(folder / name) for name in files_of(folder)}
    write_whole(folder / COMPLETE, _signed({"files": _sorted(files)}))


@contextmanager
def sealing(path: Path) -> Iterator[Path]:
    """As `replacing`, with a seal next to `path`: one line as `sha256sum` writes it.

    The seal is written first: a reader in between finds a seal without its file, or with another, and accepts neither.
    """
    with replacing(path) as temporary:
        yield temporary
        _seal_file(path, temporary)


@contextmanager
def creating_sealed(path: Path) -> Iterator[Path]:
    """As `sealing`, for a file that must be new: FileExistsError if there is one at `path` by then."""
    with creating(path) as temporary:
        yield temporary
        if os.path.lexists(path):  # or the seal of a file that has appeared meanwhile would be lost
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        _seal_file(path, temporary)


def _seal_file(path: Path, temporary: Path) -> None:
    write_whole(path.with_suffix(FILE_SEAL), f"{facts_of(temporary)[1]}  {path.name}\n")


def copy_sealed(source: Path, target: Path) -> None:
    """Copies a file and its seal; what is at `target`, even a link, is replaced and not written through."""
    for ending in (FILE_SEAL, source.suffix):
        with replacing(target.with_suffix(ending)) as temporary:
            shutil.copyfile(source.with_suffix(ending), temporary)


def file_fault(path: Path) -> str | None:
    """Why a file is not the one that was sealed, in words; None if it is, byte for byte."""
    try:
        sealed = path.with_suffix(FILE_SEAL).read_text(encoding="utf-8", errors="replace").split()
        digest = _measured(path)[1]
    except FileNotFoundError as missing:
        return f"it has no seal {Path(missing.filename).name}"
    except OSError as fault:
        return f"it cannot be read ({fault.strerror})"
    return None if sealed[:1] == [digest] else "it has other bytes than were sealed"


def _sorted(files: Mapping[str, Facts]) -> dict[str, list[Any]]:
    return {name: list(files[name]) for name in sorted(files)}


def _signed(body: Mapping[str, Any]) -> str:
    return json.dumps({**body, "sha256": _own_hash(body)}, indent=1) + "\n"


def read_seal(folder: Path) -> dict[str, Facts] | None:
    """The files that the seal names, with their facts; None for a seal that names none (an earlier version's).

    ValueError if the seal itself is damaged.
    """
    body = _body(folder)
    if body is None:
        return None
    try:
        files = {str(name): (int(size), str(digest)) for name, (size, digest) in body["files"].items()}
    except (KeyError, AttributeError, TypeError, ValueError):
        raise ValueError("it names no files with size and hash") from None
    if outside := next((name for name in files if ".." in Path(name).parts or Path(name).is_absolute()), None):
        raise ValueError(f"it names {outside}, which is outside the folder")
    return files


def run_of(folder: Path) -> str | None:
    """The id of the run that sealed a checkpoint; None if the seal has none (an earlier version's)."""
    run = (_body(folder) or {}).get("run")
    return None if run is None else str(run)


def _body(folder: Path) -> dict[str, Any] | None:
    text = (folder / COMPLETE).read_text(encoding="utf-8", errors="replace").strip()
    if not text or text.isdigit():
        return None
    body = json.loads(text)
    # The seal carries a hash of itself: a flipped bit in one of its sizes or hashes must not look like a damaged file.
    if not isinstance(body, dict) or body.pop("sha256", None) != _own_hash(body):
        raise ValueError("its own hash differs")
    return body


def damage(folder: Path, names: Iterable[str], sealed: Mapping[str, Facts]) -> list[str]:
    """What is wrong with the named files, one line each; [] where all are as they were sealed."""
    return [line for name in names if (line := _damage(folder / name, name, *sealed[name]))]


def damage_of(folder: Path, endings: tuple[str, ...] = ("",)) -> list[str]:
    """`damage` of a whole folder, or of its files with these suffixes, by one process; [] if there is no seal."""
    if not (folder / COMPLETE).is_file():
        return []
    try:
        sealed = read_seal(folder) or {}
    except ValueError as fault:
        return [f"{COMPLETE} is damaged ({fault})"]
    return damage(folder, [name for name in sealed if name.endswith(endings)], sealed)


def _damage(file: Path, name: str, size: int, digest: str) -> str:
    try:
        size_now = file.stat().st_size
        if size_now != size:
            return f"{name} has {size_now:,} bytes instead of {size:,}"
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
