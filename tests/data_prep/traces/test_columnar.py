"""Parquet and Arrow files: rows a few at a time, and one bad value spoils one row."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from data_prep.traces.columnar import ROWS_AT_ONCE, arrow_rows, parquet_rows
from data_prep.traces.unpacking import Meter
from recipes.errors import UserError
from tests.data_prep.trace_files import write_rows

ROWS = [{"x": number} for number in range(2 * ROWS_AT_ONCE + 3)]


@pytest.mark.parametrize(
    ("name", "reader"), [("a.parquet", parquet_rows), ("a.arrow", arrow_rows), ("a.feather", arrow_rows)]
)
def test_every_row_comes_once_in_order_with_its_number(name: str, reader: Any, tmp_path: Path) -> None:
    path = write_rows(tmp_path / name, ROWS)
    assert list(reader(path, Meter(path, "key"))) == [(f"{path}:{number}", row) for number, row in enumerate(ROWS, 1)]


def test_row_groups_are_read_one_after_the_other(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "a.parquet", row_group_size=100)
    assert [row for _, row in parquet_rows(tmp_path / "a.parquet", Meter(tmp_path / "a.parquet", "key"))] == ROWS


@pytest.mark.parametrize(("reader", "kind"), [(parquet_rows, "Parquet"), (arrow_rows, "Arrow")])
def test_another_file_is_refused(reader: Any, kind: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"hello world, this is no table" * 10)
    with pytest.raises(UserError, match=rf"^key: .* cannot be read as {kind} \("):
        list(reader(tmp_path / "a", Meter(tmp_path / "a", "key")))


@pytest.mark.parametrize("name", ["a.parquet", "a.feather"])
def test_text_that_is_not_utf8_spoils_one_row(name: str, tmp_path: Path) -> None:
    texts = pyarrow.array([b"a", b"\xff", b"c"]).view(pyarrow.string())
    table = pyarrow.table({"x": texts})
    if name == "a.parquet":
        pyarrow.parquet.write_table(table, tmp_path / name)
        rows = [row for _, row in parquet_rows(tmp_path / name, Meter(tmp_path / name, "key"))]
    else:
        with pyarrow.ipc.new_file(str(tmp_path / name), table.schema) as file:
            file.write_table(table)
        rows = [row for _, row in arrow_rows(tmp_path / name, Meter(tmp_path / name, "key"))]
    assert (rows[0], rows[2]) == ({"x": "a"}, {"x": "c"})
    assert isinstance(rows[1], ValueError) and "a value cannot be read ('utf-8' codec" in str(rows[1])


def test_values_of_a_dictionary_come_out_in_small_portions(tmp_path: Path) -> None:
    """One text of 4 MiB stands in each of 1,000 rows: the limit is met before a portion of them is made."""
    words = pyarrow.array(["x" * 2**22])
    table = pyarrow.table({"x": pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 1000, pyarrow.int32()), words)})
    path = tmp_path / "a.arrow"
    with pyarrow.ipc.new_file(str(path), table.schema) as file:
        file.write_table(table)
    rows = arrow_rows(path, Meter(path, "key", limit=8))
    assert [len(row["x"]) for _, row in islice(rows, 7)] == [2**22] * 7
    with pytest.raises(UserError, match="unpacks to"):
        next(rows)  # 8 times 4 MiB, and the places of the rows


@pytest.mark.parametrize("rows", [10**7, 10**9])
def test_nulls_are_refused_by_what_the_file_announces(rows: int, tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    with pyarrow.ipc.new_file(str(path), pyarrow.schema([("x", pyarrow.null())])) as file:
        file.write_batch(pyarrow.record_batch([pyarrow.nulls(rows)], ["x"]))
    assert path.stat().st_size < 1000
    with pytest.raises(UserError, match="unpacks to"):
        next(arrow_rows(path, Meter(path, "key")))


def test_a_parquet_file_of_nulls_is_refused_before_a_row_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"x": pyarrow.nulls(10**6)}), path)
    with pytest.raises(UserError, match="unpacks to"):
        next(parquet_rows(path, Meter(path, "key")))
