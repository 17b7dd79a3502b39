"""Rows of Parquet and Arrow files, a few at a time. A row with a value that Python cannot represent is a ValueError."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.traces.arrow_sizes import unpacked_sizes
from data_prep.traces.sound_batches import check_batch
from data_prep.traces.unpacking import ROW_BYTES, Meter
from recipes.errors import UserError

if TYPE_CHECKING:
    import pyarrow

ROWS_AT_ONCE = 256
READ_BYTES = 2**20
SLICE_BYTES = 2**23
BATCH_BYTES = 2**30
"""limit for a batch, since the longest value of a row group may be in every row (as a word of its dictionary)"""


def parquet_rows(path: Path, meter: Meter) -> Iterator[tuple[str, Any]]:
    """(file:row, row) of a Parquet file, rows counted from 1; UserError if it is not one, or unpacks to too much."""
    import pyarrow.parquet

    try:
        # no read-ahead, and one row group at a time: otherwise all groups would stay in memory
        with pyarrow.parquet.ParquetFile(path, pre_buffer=False, buffer_size=READ_BYTES) as file:
            meter.foresee(_announced_bytes(file.metadata))
            yield from _rows(path, _parquet_batches(file), meter)
    except (pyarrow.ArrowException, MemoryError) as fault:
        raise UserError(f"{meter.key}: {path} cannot be read as Parquet ({_first_line(fault)})") from None


def _announced_bytes(metadata: Any) -> int:
    """The unpacked size that a Parquet file declares: the pages of all columns, plus a byte per value, which is all
    that nulls take."""
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    return sum(max(0, group.total_byte_size) for group in groups) + _places(metadata.num_rows, metadata.num_columns)


def _places(rows: int, columns: int) -> int:
    """One byte per value, and the fixed cost per row."""
    return rows * (columns + ROW_BYTES)


def _parquet_batches(file: pyarrow.parquet.ParquetFile) -> Iterator[pyarrow.RecordBatch]:
    for number in range(file.num_row_groups):
        # not by its columns: in a damaged file `RowGroupMetaData.column` crashes the process (pyarrow 26)
        unpacked_bytes = max(1, file.metadata.row_group(number).total_byte_size)
        rows = max(1, min(ROWS_AT_ONCE, BATCH_BYTES // unpacked_bytes))
        yield from file.iter_batches(batch_size=rows, row_groups=[number], use_threads=False)


def arrow_rows(path: Path, meter: Meter) -> Iterator[tuple[str, Any]]:
    """(file:row, row) of an Arrow file, in the file or the stream format (that of `datasets`); UserError if it is
    neither, or unpacks to too much."""
    import pyarrow.ipc

    try:
        with pyarrow.OSFile(str(path)) as file:  # one batch at a time; a memory map would count as resident memory
            meter.foresee(sum(unpacked_sizes(file)))
            file.seek(0)
            yield from _rows(path, map(check_batch, _arrow_batches(file)), meter)
    except (pyarrow.ArrowException, MemoryError) as fault:
        raise UserError(f"{meter.key}: {path} cannot be read as Arrow ({_first_line(fault)})") from None


def _arrow_batches(file: Any) -> Iterator[pyarrow.RecordBatch]:
    import pyarrow

    try:
        reader = pyarrow.ipc.open_file(file)
    except pyarrow.ArrowInvalid:  # the stream format has no magic bytes
        file.seek(0)
        yield from pyarrow.ipc.open_stream(file)
        return
    yield from (reader.get_batch(number) for number in range(reader.num_record_batches))


def _rows(path: Path, batches: Iterable[pyarrow.RecordBatch], meter: Meter) -> Iterator[tuple[str, Any]]:
    """The rows of all batches, in slices that are small if values are long: a dictionary stores a value once, but it is
    copied into every row."""
    number, at_once = 0, 1
    for batch in batches:
        meter.foresee(meter.unpacked_bytes + _places(batch.num_rows, batch.num_columns))
        start = 0
        while start < batch.num_rows:
            part = batch.slice(start, at_once)
            rows = _values(part)
            size = max(part.nbytes, sum(map(_text_length, rows))) + _places(len(rows), batch.num_columns)
            meter.add(size)
            for row in rows:
                number += 1
                yield f"{path}:{number}", row
            start += at_once
            at_once = min(ROWS_AT_ONCE, 2 * at_once) if size < SLICE_BYTES else max(1, at_once // 4)


def _text_length(row: Any) -> int:
    """The total length of the texts in the columns of a row."""
    return sum(len(value) for value in row.values() if isinstance(value, str)) if isinstance(row, dict) else 0


def _values(batch: pyarrow.RecordBatch) -> list[Any]:
    """The rows of a batch; one by one if some value cannot be converted (text that is not UTF-8, an infinite date)."""
    try:
        return batch.to_pylist()
    except (ValueError, ArithmeticError, NotImplementedError) as fault:
        if batch.num_rows == 1:
            return [ValueError(f"a value cannot be read ({_first_line(fault)})")]
        return [row for at in range(batch.num_rows) for row in _values(batch.slice(at, 1))]


def _first_line(fault: BaseException) -> str:
    return (str(fault).strip() or type(fault).__name__).splitlines()[0]
