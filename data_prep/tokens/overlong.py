"""Shortening overlong traces: whole steps are removed from the middle of the thinking, never the end of the trace."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable

from data_prep.trace import Trace

# boundaries between steps, coarse to fine; splitting there loses no character
STEP_BORDERS = (
    re.compile(r"(?<=\n\n)(?=[^\n])"),  # paragraphs
    re.compile(r"(?<=\n)(?=[^\n])"),  # lines
    re.compile(r"(?<=[.!?])(?=\s)|(?<=[。！？])"),  # sentences
)
FEWEST_STEPS = 2
"""the first and the last step stay, so that the thinking still begins and ends as it did"""


def shorten(trace: Trace, fits: Callable[[Trace], bool]) -> Trace | None:
    """`trace` with the fewest whole steps removed from the middle of its thinking so that it `fits`; None if none does.

    Steps are paragraphs; if even the first and the last are too long, lines; then sentences. As many steps are kept
    before the gap as after it, or one more. `fits` is called about log2(steps) times, on the assumption that fewer
    steps are shorter; the trace that is returned has been checked itself.
    """
    for border in STEP_BORDERS:
        steps = border.split(trace.thinking)
        shorter = _most_steps(trace, steps, fits)
        if shorter is not None:
            return shorter
    return None


def _most_steps(trace: Trace, steps: list[str], fits: Callable[[Trace], bool]) -> Trace | None:
    """The trace with the most of `steps` that fits, by bisection; None if not even the fewest do."""
    low, high = FEWEST_STEPS, len(steps) - 1
    best: Trace | None = None
    while low <= high:
        middle = low + (high - low) // 2 if best is not None else low
        candidate = _keep(trace, steps, middle)
        if fits(candidate):
            best, low = candidate, middle + 1
        elif best is None:
            return None
        else:
            high = middle - 1
    return best


def _keep(trace: Trace, steps: list[str], count: int) -> Trace:
    """The trace with `count` of its steps: half of them from the beginning, the others from the end."""
    head, tail = (count + 1) // 2, count // 2
    return dataclasses.replace(trace, thinking="".join(steps[:head] + steps[len(steps) - tail :]))
