"""Which traces share a row: by hand, and what must hold for any lengths."""

from __future__ import annotations

import random

import pytest

from data_prep.prepared.packing import pack


def test_each_trace_goes_where_the_least_room_is_left() -> None:
    # 7 | 6 | 5 | 5: rooms 3, 4, 5 -> 5+5; then 4 fits 6 exactly, 3 fits 7 exactly
    assert pack([5, 3, 7, 4, 6, 5], 10) == [[0, 5], [1, 2], [3, 4]]


def test_a_trace_of_the_whole_row_is_alone() -> None:
    assert pack([10, 1, 10], 10) == [[0], [1], [2]]


def test_a_trace_that_is_longer_than_a_row_is_refused() -> None:
    with pytest.raises(ValueError, match="11 tokens does not fit a row of 10"):
        pack([3, 11], 10)


def test_no_traces_no_rows() -> None:
    assert pack([], 10) == []


@pytest.mark.parametrize("seed", range(20))
def test_every_trace_is_in_one_row_and_no_row_is_over_full(seed: int) -> None:
    rng = random.Random(seed)
    lengths = [rng.randint(1, 50) for _ in range(rng.randint(1, 300))]
    rows = pack(lengths, 50)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    assert max(sum(lengths[index] for index in row) for row in rows) <= 50


def test_rows_are_nearly_full() -> None:
    rng = random.Random(0)
    lengths = [rng.randint(20, 400) for _ in range(2000)]
    assert sum(lengths) / (512 * len(pack(lengths, 512))) > 0.97
