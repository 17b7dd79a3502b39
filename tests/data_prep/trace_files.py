"""Writing the same rows as a file of any kind."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.feather
import pyarrow.parquet

KINDS = (
    ".jsonl",
    ".ndjson",
    ".json",
    ".csv",
    ".tsv",
    ".jsonl.gz",
    ".json.gz",
    ".csv.gz",
    ".jsonl.zst",
    ".jsonl.bz2",
    ".parquet",
    ".arrow",
    ".feather",
)


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Writes the rows as the suffix of `path` says; .arrow in the stream format (as `datasets` does), .feather not."""
    kind = "".join(path.suffixes)
    if kind.endswith((".gz", ".zst", ".bz2")):
        plain = write_rows(path.with_suffix(""), rows)
        packed = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}[path.suffixes[-1]]
        if packed == "gzip":
            path.write_bytes(gzip.compress(plain.read_bytes()))
        else:
            with pyarrow.CompressedOutputStream(str(path), packed) as file:
                file.write(plain.read_bytes())
        plain.unlink()
    elif kind in (".jsonl", ".ndjson"):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif kind == ".json":
        path.write_text(json.dumps(rows, indent=1))
    elif kind in (".csv", ".tsv"):
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0], delimiter="\t" if kind == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    else:
        _write_table(path, pyarrow.Table.from_pylist(list(rows)))
    return path


def _write_table(path: Path, table: pyarrow.Table) -> None:
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path)
    elif path.suffix == ".feather":
        pyarrow.feather.write_feather(table, str(path))
    else:
        with pyarrow.ipc.new_stream(str(path), table.schema) as file:
            file.write_table(table)
