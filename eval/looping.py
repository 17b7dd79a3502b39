"""Repetition: does a thought end by going round in a circle?"""

from __future__ import annotations

from collections.abc import Sequence

LONGEST_PERIOD = 64
REPEATS = 3
SHORTEST_LOOP = 12


def is_looping(ids: Sequence[int]) -> bool:
    """True where the last tokens repeat with a period of at most 64: three full rounds, and 12 tokens at the least."""
    for period in range(1, min(LONGEST_PERIOD, len(ids) // REPEATS) + 1):
        span = max(REPEATS * period, SHORTEST_LOOP)
        if span <= len(ids) and ids[-span:-period] == ids[len(ids) - span + period:]:
            return True
    return False
