"""Logs of Inspect, `.eval` or `.json`: samples with an id, an epoch, and one value per scorer.

A `.eval` file is a ZIP archive whose `summaries.json` has everything needed from every sample. Newer releases compress
it with Zstandard, which the standard library cannot read before Python 3.14.
"""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow

from eval.logs.graded import Graded, chosen_metric, is_right
from recipes.errors import UserError

ZSTANDARD = 93
MOST_BYTES = 2**30  # upper limit of an unpacked member: a small archive can claim any size
LOCAL_HEADER_BYTES = 30


def read_inspect(path: Path, metric: str | None) -> Iterator[Graded]:
    """The thoughts of a finished evaluation; `metric`: the scorer, by default the first. Samples that ended in an error
    have no score and are missing. Raises UserError if the file is damaged, unfinished, or has no such scorer."""
    try:
        status, samples = _eval(path) if zipfile.is_zipfile(path) else _json(path)
        if status != "success":
            raise UserError(
                f"{path}: the evaluation is not finished (status {status!r}); finish it with `inspect eval-retry`"
            )
        for sample in samples:
            place = f"{path}: sample {sample['id']!r}, epoch {sample['epoch']}"
            scores = sample.get("scores") or {}
            if scores:
                name = chosen_metric(scores, metric, place)
                yield Graded(str(sample["id"]), sample["epoch"] - 1, is_right(scores[name]["value"], name, place))
    except (ValueError, KeyError, TypeError, AttributeError, OSError, zipfile.BadZipFile, struct.error) as fault:
        raise UserError(f"{path}: not a log of Inspect, or damaged ({fault})") from None


def _json(path: Path) -> tuple[Any, list[Any]]:
    log = json.loads(path.read_text(encoding="utf-8"))
    return log["status"], log["samples"]


def _eval(path: Path) -> tuple[Any, list[Any]]:
    with zipfile.ZipFile(path) as archive, path.open("rb") as raw:
        names = archive.namelist()
        if "header.json" not in names or "summaries.json" not in names:
            raise UserError(f"{path}: the evaluation is not finished (it has no summary yet)")
        header, samples = (
            json.loads(_member(archive.getinfo(name), archive, raw)) for name in ("header.json", "summaries.json")
        )
    return header["status"], samples


def _member(member: zipfile.ZipInfo, archive: zipfile.ZipFile, raw: Any) -> bytes:
    if member.file_size > MOST_BYTES:
        raise ValueError(f"{member.filename} claims {member.file_size:,} bytes")
    if member.compress_type != ZSTANDARD:
        return archive.read(member)
    raw.seek(member.header_offset)
    # name and extra field have their own lengths in the local header (PKWARE's APPNOTE, section 4.3.7)
    name_bytes, extra_bytes = struct.unpack("<26xHH", raw.read(LOCAL_HEADER_BYTES))
    raw.seek(name_bytes + extra_bytes, 1)
    packed = pyarrow.BufferReader(raw.read(member.compress_size))
    return bytes(pyarrow.CompressedInputStream(packed, "zstd").read(MOST_BYTES))
