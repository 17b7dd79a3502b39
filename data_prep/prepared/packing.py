"""Packing: which traces share a row of a given length. Best fit, longest first; only whole traces, never truncated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence


def pack(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Rows of trace indices whose `lengths` (tokens) sum to at most `capacity`; every index occurs once.

    Best-fit decreasing: traces from the longest to the shortest, each into the row with the least room that still
    takes it (Johnson, 1973: at most 11/9 of the optimal number of rows, plus 6/9). Rows come in the order of their
    first trace, and traces in a row in their own order, so a packed set is in the order of the set.
    ValueError for a trace longer than the capacity.
    """
    if any(length > capacity for length in lengths):
        raise ValueError(f"a trace of {max(lengths)} tokens does not fit a row of {capacity}")
    rows: list[list[int]] = []
    by_room: defaultdict[int, list[int]] = defaultdict(list)  # free tokens -> rows with exactly that many
    rooms = 0  # bit r is set if by_room[r] has a row: the lowest bit from `length` on is the best fit
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        length = lengths[index]
        wide_enough = rooms >> length
        if wide_enough:
            room = length + (wide_enough & -wide_enough).bit_length() - 1
            row = by_room[room].pop()
            if not by_room[room]:
                rooms ^= 1 << room
        else:
            room, row = capacity, len(rows)
            rows.append([])
        rows[row].append(index)
        by_room[room - length].append(row)
        rooms |= 1 << (room - length)
    return sorted(sorted(row) for row in rows)
