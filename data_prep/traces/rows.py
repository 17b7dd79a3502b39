"""Rows of files and of the Hub, one at a time, each with its origin.

An unreadable row is yielded as a ValueError, so that the caller can name and count it; a fault of a whole file
(missing, no permission, truncated) raises UserError.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from data_prep.traces.columnar import arrow_rows, parquet_rows
from data_prep.traces.unpacking import ROW_BYTES, Meter, metered
from recipes.errors import UserError
from recipes.paths import find_path
from recipes.unpack_limit import UNPACK_LIMIT
from runtime.hub import check_data_set

Rows = Iterator[tuple[str, Any]]
Reader = Callable[[Path, Meter], Rows]
LONGEST_CELL = 10_000_000
LONGEST_LINE_BYTES = 64 * 2**20
COMPRESSED = (".gz", ".zst", ".bz2")


def file_rows(path: Path, key: str, limit: int = UNPACK_LIMIT) -> Rows:
    """(file:row, row) of a file, by its suffix (`READERS`; any other is read as JSON Lines), or of a folder of them.

    Rows are counted from 1, in JSON Lines and CSV by line. UserError if the file cannot be read, or unpacks to more
    than `limit` times its size.
    """
    place = Path(find_path(str(path)))
    if not place.exists():
        raise UserError(f"{key}: no file at {place}")
    for file in data_files(place, key) if place.is_dir() else [place]:
        yield from _one_file(file, READERS.get(kind_of(file), _read_jsonl), key, limit)


def jsonl_rows(path: Path, key: str, limit: int = UNPACK_LIMIT) -> Rows:
    """(file:line, row) of a JSON Lines file; for a line that is not JSON, a ValueError in place of the row.

    Only a newline ends a line, a byte order mark is skipped, and packed files are unpacked. UserError as `file_rows`.
    """
    if not path.is_file():
        raise UserError(f"{key}: no file at {path}")
    yield from _one_file(path, _read_jsonl, key, limit)


def _one_file(file: Path, reader: Reader, key: str, limit: int) -> Rows:
    try:
        yield from reader(file, Meter(file, key, limit))
    except (OSError, UnicodeDecodeError, csv.Error, RecursionError) as fault:
        raise UserError(f"{key}: {file} cannot be read ({_one_line(fault)})") from None


def kind_of(file: Path) -> str:
    """The suffix that gives a file's format, in lower case: `.jsonl` for `a.jsonl.gz`."""
    name = file.name.lower()
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    return Path(name).suffix


def beside_data(folder: Path) -> list[str]:
    """The names in a folder that `data_files` skips: folders, and files without a data file's suffix."""
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if not (entry.is_file() and kind_of(entry) in READERS) and not entry.name.startswith(".")
    )


def data_files(folder: Path, key: str) -> list[Path]:
    """The data files directly inside a folder, sorted by name; UserError for none, or for two kinds.

    The two JSON files that `datasets` writes next to its Arrow files do not count.
    """
    files = sorted(
        file for file in folder.iterdir() if file.is_file() and kind_of(file) in READERS and file.name not in NO_DATA
    )
    kinds = sorted({kind_of(file) for file in files})
    if len(kinds) > 1:
        raise UserError(
            f"{key}: {folder} has files of several kinds ({', '.join(kinds)}), which may be the same "
            "rows twice; name one file, or a folder with one kind"
        )
    if not files:
        inside = sorted(entry.name for entry in folder.iterdir())
        raise UserError(
            f"{key}: the folder {folder} has no data file ({', '.join(READERS)}); it holds "
            f"{', '.join(inside[:10]) or 'nothing'}"
        )
    return files


def open_bytes(path: Path, meter: Meter) -> BinaryIO:
    """The bytes of a file, unpacked if its name ends in .gz, .zst or .bz2; counted as they are read."""
    if path.suffix.lower() not in COMPRESSED:
        return metered(path.open("rb"), meter)
    import pyarrow

    return metered(pyarrow.input_stream(str(path), compression="detect"), meter)


def _read_jsonl(path: Path, meter: Meter) -> Rows:
    with open_bytes(path, meter) as file:
        number, line = 0, file.readline(LONGEST_LINE_BYTES)
        while line:
            number += 1
            meter.add_row()
            if len(line) == LONGEST_LINE_BYTES and not line.endswith(b"\n"):
                yield f"{path}:{number}", ValueError(f"the line is longer than {LONGEST_LINE_BYTES >> 20} MiB")
                while line and not line.endswith(b"\n"):
                    line = file.readline(LONGEST_LINE_BYTES)
            elif line.strip():
                yield f"{path}:{number}", _parsed(line)
            line = file.readline(LONGEST_LINE_BYTES)


def _parsed(text: bytes) -> Any:
    """The value of JSON text, or the ValueError that says why it cannot be read."""
    try:
        return json.loads(text)
    except RecursionError:
        return ValueError("not JSON that can be read (nested too deeply)")
    except ValueError as error:
        return ValueError(f"not JSON ({error})")


def _read_json(path: Path, meter: Meter) -> Rows:
    """The elements of a JSON list, which is read whole; a file that begins differently is read as JSON Lines."""
    with open_bytes(path, meter) as file:
        is_list = file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    meter = Meter(path, meter.key, meter.limit)
    if not is_list:
        yield from _read_jsonl(path, meter)
        return
    with open_bytes(path, meter) as file:
        content = file.read()
        meter.foresee(len(content) + ROW_BYTES * content.count(b","))  # before it is parsed into millions of elements
        rows = _parsed(content)
    if isinstance(rows, ValueError):
        raise UserError(f"{meter.key}: {path} begins like a JSON list, but is {rows}")
    yield from ((f"{path}:{number}", row) for number, row in enumerate(rows, 1))


def _read_csv(path: Path, meter: Meter) -> Rows:
    """The rows below the header; a cell that is not UTF-8, or a row with too many cells, is a fault of that row."""
    csv.field_size_limit(LONGEST_CELL)
    delimiter = "\t" if kind_of(path) == ".tsv" else ","
    packed = open_bytes(path, meter)
    with io.TextIOWrapper(packed, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.DictReader(file, delimiter=delimiter)
        while True:
            try:
                row: Any = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                row = ValueError(f"not CSV ({error})")
            meter.add_row()
            yield f"{path}:{reader.reader.line_num}", _checked_cells(row)


def _checked_cells(row: Any) -> Any:
    if isinstance(row, ValueError):
        return row
    if None in row:
        return ValueError(f"there are more cells than the header has columns; the first extra one is {row[None][0]!r}")
    for name, cell in row.items():
        try:
            (cell or "").encode()
        except UnicodeEncodeError as error:
            return ValueError(f"{name!r} is not UTF-8 (character {error.start})")
    return row


READERS: dict[str, Reader] = {
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".parquet": parquet_rows,
    ".arrow": arrow_rows,
    ".feather": arrow_rows,
}
NO_DATA = ("dataset_info.json", "state.json")


def hub_rows(hub: str, config: str | None, split: str, key: str, **how: Any) -> Rows:
    """(data set:row, row) of a data set of the Hub, rows counted from 0. `how` is passed to `datasets.load_dataset`.

    UserError with the Hub's own message if it cannot be loaded.
    """
    from datasets import load_dataset

    check_data_set(hub, key)
    number = 0
    try:
        for number, row in enumerate(load_dataset(hub, config, split=split, **how)):
            yield f"{hub}[{split}]:{number}", row
    except Exception as fault:  # the library has a dozen exceptions for "missing", "not allowed" and "no network"
        after = f" after row {number}" if number else ""
        raise UserError(
            f"{key}: the data set {hub} (split {split}) cannot be loaded{after}: {_one_line(fault)[:300]}\n"
            "put a copy of it on this machine and give its path (source: file, or path= of a named suite)"
        ) from None


def _one_line(fault: Exception) -> str:
    return (str(fault).strip() or type(fault).__name__).splitlines()[0]
