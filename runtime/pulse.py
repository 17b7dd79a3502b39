"""This process's signs of life, and where it may leave off what it is doing.

Loops that work for long call `beat` after each piece: a token of a sweep, a thought, a file. A watchdog reads when the
last one was (`train.watch`); a process that was asked to stop leaves off there, where the work may be left; and who
watches the work hears how many tokens it has come further (`runtime.progress`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class ToLeave(Exception):
    """This process, or another rank of the run, was asked to stop; what is finished is kept."""


class Pulse:
    """asked: a signal to stop has come. watched: a long silence means that the process hangs. may_leave: the work at
    hand may be left off. waits: for other ranks, whose silence counts in place of its own. heard: is told the tokens of
    each beat."""

    def __init__(self) -> None:
        self.beat_at, self.asked, self.watched = time.monotonic(), False, False
        self.may_leave, self.waits = False, False
        self.heard: Callable[[int], None] = lambda tokens: None

    def silence_seconds(self) -> float:
        return 0.0 if self.waits else time.monotonic() - self.beat_at

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While this process waits for other ranks it is not silent itself."""
        self.waits = True
        try:
            yield
        finally:
            self.waits, self.beat_at = False, time.monotonic()


PULSE = Pulse()
"""of this process; a signal is heard by a process, so there is one"""


def beat(tokens: int = 0) -> None:
    """A sign of life, after `tokens` that were decoded or read. ToLeave where the process was asked to stop and the
    work at hand may be left."""
    PULSE.beat_at = time.monotonic()
    PULSE.heard(tokens)
    if PULSE.asked and PULSE.may_leave:
        raise ToLeave


@contextmanager
def may_leave() -> Iterator[None]:
    """What is done inside may be left off at any `beat`."""
    before, PULSE.may_leave = PULSE.may_leave, True
    try:
        yield
    finally:
        PULSE.may_leave = before
