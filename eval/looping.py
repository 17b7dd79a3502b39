"""Detects loops: thoughts that end in a repetition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LONGEST_PERIOD = 64
REPEATS = 3
SHORTEST_LOOP = 12
MEMORY_TOKENS = REPEATS * LONGEST_PERIOD
"""the number of last tokens in which a loop is detected, whatever comes before them"""


def is_looping(ids: Sequence[int]) -> bool:
    """Whether the last tokens repeat with a period of at most 64, in three full rounds and at least 12 tokens."""
    for period in range(1, min(LONGEST_PERIOD, len(ids) // REPEATS) + 1):
        span = max(REPEATS * period, SHORTEST_LOOP)
        if span <= len(ids) and ids[-span:-period] == ids[len(ids) - span + period :]:
            return True
    return False


_PERIODS = np.arange(1, LONGEST_PERIOD + 1)
_RUN_OF_A_LOOP = np.maximum(REPEATS * _PERIODS, SHORTEST_LOOP) - _PERIODS


class LoopWatcher:
    """`is_looping` for a sequence that grows token by token, at the cost of one vectorised step over the 64 periods.

    For each period, it counts how many consecutive last tokens equal the token one period before them.
    """

    def __init__(self, ids: Sequence[int] = ()) -> None:
        self._recent = np.full(LONGEST_PERIOD, -1, dtype=np.int64)  # [periods], the last token first; -1: none yet
        self._runs = np.zeros(LONGEST_PERIOD, dtype=np.int64)
        for token in ids[-MEMORY_TOKENS:]:
            self.add(token)

    def add(self, token: int) -> bool:
        """Adds the next token (0 or above) and returns whether the sequence up to it is looping."""
        self._runs += 1
        self._runs *= self._recent == token  # a token that differs from the one a period before it ends that run
        self._recent[1:] = self._recent[:-1]
        self._recent[0] = token
        return bool((self._runs >= _RUN_OF_A_LOOP).any())
