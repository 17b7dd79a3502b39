"""Rows of a suite, from JSON Lines, CSV or the Hub, each with where it stands; a fault is one UserError."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recipes.errors import UserError
from recipes.paths import find_path

Rows = Iterator[tuple[str, Any]]
LONGEST_CELL = 10_000_000


def file_rows(path: Path, key: str) -> Rows:
    """(file:line, row) of a JSON Lines file, or of a CSV file with a header; UserError where it cannot be read."""
    found = Path(find_path(str(path)))
    try:
        yield from _csv_rows(found, key) if found.suffix.lower() == ".csv" else read_jsonl(found, key)
    except (OSError, UnicodeDecodeError, csv.Error, RecursionError) as fault:
        raise UserError(f"{key}: {found} cannot be read ({fault})") from None


def _csv_rows(path: Path, key: str) -> Rows:
    if not path.is_file():
        raise UserError(f"{key}: no file at {path}")
    csv.field_size_limit(LONGEST_CELL)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        for row in reader:
            yield f"{path}:{reader.line_num}", row


def read_jsonl(path: Path, key: str) -> Iterator[tuple[str, Any]]:
    """(file:line, row) of a JSON Lines file; a line that is not JSON comes as a ValueError in place of the row."""
    if not path.is_file():
        raise UserError(f"{key}: no file at {path}")
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield f"{path}:{number}", json.loads(line)
                except ValueError as error:
                    yield f"{path}:{number}", ValueError(f"not JSON ({error})")


def hub_rows(hub: str, config: str | None, split: str, key: str) -> Rows:
    """(data set:row, row) of a data set of the Hub; UserError with the Hub's own word where it cannot be had."""
    from datasets import load_dataset

    try:
        rows = load_dataset(hub, config, split=split)
    except Exception as fault:  # the library has a dozen types for "not there", "not allowed" and "no network"
        said = (str(fault).strip() or type(fault).__name__).splitlines()[0]
        raise UserError(f"{key}: the data set {hub} (split {split}) cannot be had: {said[:300]}\n"
                        "put a copy of it on this machine and give its path (source: jsonl, or path= of a named suite)"
                        ) from None
    for number, row in enumerate(rows):
        yield f"{hub}[{split}]:{number}", row
