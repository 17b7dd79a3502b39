"""Rows of Parquet and Arrow files, a few at a time. A row with a value that Python cannot hold is a ValueError."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recipes.errors import UserError

if TYPE_CHECKING:
    import pyarrow

ROWS_AT_ONCE = 256
READ_BYTES = 2**20


def parquet_rows(path: Path, key: str) -> Iterator[tuple[str, Any]]:
    """(file:row, row) of a Parquet file, rows counted from 1; UserError where it is none."""
    import pyarrow.parquet

    try:
        # not ahead, and one row group after the other: read in one go, the groups stay in memory as they come
        with pyarrow.parquet.ParquetFile(path, pre_buffer=False, buffer_size=READ_BYTES) as file:
            yield from _rows(path, _parquet_batches(file))
    except pyarrow.ArrowException as fault:
        raise UserError(f"{key}: {path} cannot be read as Parquet ({str(fault).splitlines()[0]})") from None


def _parquet_batches(file: pyarrow.parquet.ParquetFile) -> Iterator[pyarrow.RecordBatch]:
    for group in range(file.num_row_groups):
        yield from file.iter_batches(batch_size=ROWS_AT_ONCE, row_groups=[group], use_threads=False)


def arrow_rows(path: Path, key: str) -> Iterator[tuple[str, Any]]:
    """(file:row, row) of an Arrow file, in the file or the stream format (that of `datasets`)."""
    import pyarrow.ipc

    try:
        with pyarrow.OSFile(str(path)) as file:  # a batch at a time; a memory map counts as resident memory
            yield from _rows(path, _arrow_batches(file))
    except pyarrow.ArrowException as fault:
        raise UserError(f"{key}: {path} cannot be read as Arrow ({str(fault).splitlines()[0]})") from None


def _arrow_batches(file: Any) -> Iterator[pyarrow.RecordBatch]:
    import pyarrow

    try:
        reader = pyarrow.ipc.open_file(file)
    except pyarrow.ArrowInvalid:  # the stream format has no mark of its own
        file.seek(0)
        yield from pyarrow.ipc.open_stream(file)
        return
    yield from (reader.get_batch(number) for number in range(reader.num_record_batches))


def _rows(path: Path, batches: Iterable[pyarrow.RecordBatch]) -> Iterator[tuple[str, Any]]:
    number = 0
    for batch in batches:
        for start in range(0, batch.num_rows, ROWS_AT_ONCE):
            for row in _values(batch.slice(start, ROWS_AT_ONCE)):
                number += 1
                yield f"{path}:{number}", row


def _values(batch: pyarrow.RecordBatch) -> list[Any]:
    """The rows of a batch; one by one where a value spoils the whole (text that is not UTF-8, a date without end)."""
    try:
        return batch.to_pylist()
    except (ValueError, ArithmeticError, NotImplementedError) as fault:
        if batch.num_rows == 1:
            return [ValueError(f"a value cannot be read ({str(fault).splitlines()[0]})")]
        return [row for at in range(batch.num_rows) for row in _values(batch.slice(at, 1))]
