"""How long an engine takes for a token, measured alike for every model."""

from __future__ import annotations

from array import array

import numpy as np

BUSY = 0.875
"""the share of slots in use from which a step counts: with fewer, a token takes longer only because it is alone"""


class Pace:
    """Seconds per token of thought or answer, over decoding steps with (nearly) all slots in use: the lower decile.

    So two models that think for different lengths are compared under the same load. Neither the first steps, which pay
    for warming up, nor prompts, grading and the check of the engine count, and what else the machine does only matters
    if it does it all the time. A step computed by several ranks is this rank's. An engine outside this process
    measures nothing.
    """

    def __init__(self) -> None:
        self._seconds = array("d")

    def add(self, seconds: float, tokens: int, busy: float) -> None:
        """A step that took `seconds` for `tokens`, all rows together; busy: the share of slots in use."""
        if tokens and busy >= BUSY:
            self._seconds.append(seconds / tokens)

    def include(self, other: Pace) -> None:
        """Adds the steps of another suite or engine."""
        self._seconds.extend(other._seconds)

    @property
    def seconds_per_token(self) -> float | None:
        """None if no step was measured."""
        return float(np.quantile(self._seconds, 0.1)) if self._seconds else None
