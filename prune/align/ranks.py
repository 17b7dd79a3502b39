"""Candidate ranks of a matrix and their costs, from its shape alone."""

from __future__ import annotations

from collections.abc import Sequence


def rank_candidates(rows: int, columns: int, multiple: int) -> list[int]:
    """The multiples r at which two factors have fewer parameters than the matrix, then the full rank (left dense).

    r (rows + columns) >= rows · columns saves nothing, so such ranks are not candidates.
    """
    most = (rows * columns - 1) // (rows + columns)
    return [*range(multiple, most + 1, multiple), min(rows, columns)]


def rank_costs(rows: int, columns: int, ranks: Sequence[int]) -> list[int]:
    """Parameters at each rank: those of the two factors; for the full rank, those of the matrix itself."""
    return [rows * columns if rank >= min(rows, columns) else rank * (rows + columns) for rank in ranks]
