"""Batches whose offsets or indices point outside their buffers are refused; text that is not UTF-8 is not looked at."""

from __future__ import annotations

import struct
from typing import Any

import pyarrow
import pytest

from data_prep.traces.sound_batches import as_bytes, check_batch


def texts(offsets: list[int], letters: bytes) -> pyarrow.Array:
    """An array of texts with these offsets into these letters."""
    buffers = [None, pyarrow.py_buffer(struct.pack(f"<{len(offsets)}i", *offsets)), pyarrow.py_buffer(letters)]
    return pyarrow.Array.from_buffers(pyarrow.string(), len(offsets) - 1, buffers)


def nested(inside: pyarrow.Array) -> pyarrow.Array:
    """One list of records for each text."""
    places = pyarrow.array(range(len(inside) + 1), pyarrow.int32())
    return pyarrow.ListArray.from_arrays(places, pyarrow.StructArray.from_arrays([inside], ["content"]))


def worded(inside: pyarrow.Array) -> pyarrow.Array:
    """A dictionary of the texts, each of which stands in one row."""
    indices = pyarrow.array(range(len(inside)), pyarrow.int32())
    return pyarrow.DictionaryArray.from_arrays(indices, inside, safe=False)


def batch(column: pyarrow.Array) -> pyarrow.RecordBatch:
    return pyarrow.RecordBatch.from_arrays([column], ["x"])


WAYS = [lambda inside: inside, nested, worded]


@pytest.mark.parametrize("way", WAYS, ids=["plain", "nested", "dictionary"])
@pytest.mark.parametrize("offsets", [[0, 5, 2, 9], [0, 1, 2, 1000], [0, -3, 2, 3]])
def test_offsets_outside_their_buffer_are_refused(way: Any, offsets: list[int]) -> None:
    with pytest.raises(pyarrow.ArrowInvalid):
        check_batch(batch(way(texts(offsets, b"abcdefghi"))))


@pytest.mark.parametrize("way", WAYS, ids=["plain", "nested", "dictionary"])
def test_offsets_behind_text_that_is_not_utf8_are_refused_too(way: Any) -> None:
    with pytest.raises(pyarrow.ArrowInvalid):
        check_batch(batch(way(texts([0, 1, 5, 2, 9], b"\xffbcdefghi"))))


@pytest.mark.parametrize("way", WAYS, ids=["plain", "nested", "dictionary"])
def test_text_that_is_not_utf8_is_for_the_reader_of_values(way: Any) -> None:
    checked = check_batch(batch(way(texts([0, 1, 2], b"a\xff"))))
    assert checked.num_rows == 2


def test_indices_outside_their_dictionary_are_refused() -> None:
    indices = pyarrow.array([0, 7], pyarrow.int32())
    column = pyarrow.DictionaryArray.from_arrays(indices, pyarrow.array(["a"]), safe=False)
    with pytest.raises(pyarrow.ArrowInvalid):
        check_batch(batch(column))


def test_a_type_without_text_stays_as_it_is() -> None:
    kind = pyarrow.list_(pyarrow.struct([("a", pyarrow.int8()), ("b", pyarrow.list_(pyarrow.float64()))]))
    assert as_bytes(kind) == kind


@pytest.mark.parametrize(
    ("kind", "binary"),
    [
        (pyarrow.large_string(), pyarrow.large_binary()),
        (pyarrow.string_view(), pyarrow.binary_view()),
        (pyarrow.large_list(pyarrow.string()), pyarrow.large_list(pyarrow.binary())),
        (pyarrow.map_(pyarrow.string(), pyarrow.string()), pyarrow.map_(pyarrow.binary(), pyarrow.binary())),
    ],
)
def test_text_is_binary_at_every_depth(kind: Any, binary: Any) -> None:
    assert as_bytes(kind) == binary
