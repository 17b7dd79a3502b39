"""The unpacked sizes that an Arrow file announces: those of its buffers, whatever the codec and the layout."""

from __future__ import annotations

from pathlib import Path

import pyarrow
import pyarrow.ipc
import pytest

from data_prep.traces.arrow_sizes import unpacked_sizes

LETTERS = 51_200  # whole blocks of 64 bytes, to which slices are padded


def written(path: Path, table: pyarrow.Table, layout: str, codec: str | None) -> Path:
    writer = pyarrow.ipc.new_file if layout == "file" else pyarrow.ipc.new_stream
    with writer(str(path), table.schema, options=pyarrow.ipc.IpcWriteOptions(compression=codec)) as file:
        file.write_table(table, max_chunksize=1)
    return path


def announced(path: Path) -> list[int]:
    with pyarrow.OSFile(str(path)) as file:
        return list(unpacked_sizes(file))


@pytest.mark.parametrize("layout", ["file", "stream"])
@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_each_buffer_of_each_batch_is_announced(layout: str, codec: str, tmp_path: Path) -> None:
    table = pyarrow.table({"x": ["a" * LETTERS, "b" * LETTERS]})
    # a batch of one row: two offsets of four bytes, and the letters
    assert announced(written(tmp_path / "a", table, layout, codec)) == [8, LETTERS] * 2


def test_words_of_a_dictionary_are_announced(tmp_path: Path) -> None:
    table = pyarrow.table({"x": pyarrow.array(["a" * LETTERS]).dictionary_encode()})
    assert LETTERS in announced(written(tmp_path / "a", table, "file", "zstd"))


def test_what_is_not_packed_announces_nothing(tmp_path: Path) -> None:
    assert announced(written(tmp_path / "a", pyarrow.table({"x": ["a" * LETTERS]}), "file", None)) == []


@pytest.mark.parametrize("content", [b"", b"ARROW1\x00\x00", b"\xff" * 100, b"\xff\xff\xff\xff\x10\x00\x00\x00" * 9])
def test_another_file_announces_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    assert announced(tmp_path / "a") == []
