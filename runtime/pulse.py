"""Heartbeats of this process, and the points at which it may stop.

Long loops call `beat` after each piece: a token of a sweep, a thought, a file. A watchdog reads the time of the last
beat (`train.watch`); a process that was asked to stop does so at a beat, if its work may be left there; and the
progress display learns how many tokens were processed (`runtime.progress`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class ToLeave(Exception):
    """This process, or another rank of the run, was asked to stop; finished work is kept."""


class Pulse:
    """asked: a signal to stop has come. watched: a long silence means that the process hangs. may_leave: the current
    work may be interrupted. waits: for other ranks, whose silence counts in place of its own. heard: is told the tokens
    of each beat."""

    def __init__(self) -> None:
        self.beat_at, self.asked, self.watched = time.monotonic(), False, False
        self.may_leave, self.waits = False, False
        self.heard: Callable[[int], None] = lambda tokens: None

    def silence_seconds(self) -> float:
        return 0.0 if self.waits else time.monotonic() - self.beat_at

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While this process waits for other ranks, it does not count as silent."""
        self.waits = True
        try:
            yield
        finally:
            self.waits, self.beat_at = False, time.monotonic()


PULSE = Pulse()
"""of this process: signals go to processes, so there is one"""


def beat(tokens: int = 0) -> None:
    """A heartbeat, after `tokens` that were decoded or read. ToLeave if the process was asked to stop and its current
    work may be interrupted."""
    PULSE.beat_at = time.monotonic()
    PULSE.heard(tokens)
    if PULSE.asked and PULSE.may_leave:
        raise ToLeave


@contextmanager
def may_leave() -> Iterator[None]:
    """The work inside may be interrupted at any `beat`."""
    before, PULSE.may_leave = PULSE.may_leave, True
    try:
        yield
    finally:
        PULSE.may_leave = before
