"""Rows of JSON Lines files: written whole or not at all, and kept unique by some of their fields."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from runtime.files import replacing


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes one line per row, in UTF-8, in place of what was at `path`."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def latest_by(rows: Iterable[Mapping[str, Any]], key: Sequence[str]) -> list[Mapping[str, Any]]:
    """One row for each combination of the `key` fields: the latest one, at the place of the first."""
    return list({tuple(row.get(field) for field in key): row for row in rows}.values())
