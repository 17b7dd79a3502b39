"""How the processes of a run leave: exit codes, signals that ask to stop, and who speaks first where all must stop."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from recipes.command import FAILED
from recipes.errors import UserError
from runtime.pulse import PULSE, ToLeave

PREEMPTED = 75
"""exit code of a run that was asked to stop: the same command goes on, and loses nothing that was finished"""
LEAD_SECONDS = 5.0
DISK_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Stopped(Exception):
    """All ranks stop for a reason that is no mistake in the recipe; the message says what to do. Exit code 1."""


class StoppedAlone(Stopped):
    """The same on one rank, which the others know nothing of."""


def leaving(work: Callable[[], int]) -> int:
    """The exit code of `work`, with a message where it stops, or leaves off because it was asked to.

    Where a rank leaves at once the collectives of the others fail; they were asked too, so that is no fault of theirs.
    """
    try:
        return work()
    except Stopped as stop:
        if os.environ.get("RANK", "0") == "0" or isinstance(stop, StoppedAlone):
            print(stop, file=sys.stderr, flush=True)
        else:
            time.sleep(LEAD_SECONDS)
        return FAILED
    except ToLeave:
        return _say_left()
    except SystemExit as leave:
        if leave.code != PREEMPTED:
            raise
        return _say_left()
    except Exception:
        if not (PULSE.asked and SIGNALS.at_once):
            raise
        return _say_left()


def parting(work: Callable[[], int]) -> int:
    """`work`, after which a rank takes leave of the others, as NCCL wants it; only where all ranks come to the end.

    After a fault of one rank it would wait for those that still wait for it.
    """
    try:
        code = work()
    except UserError:  # on all ranks
        _part()
        raise
    _part()
    return code


def _part() -> None:
    import torch  # heavy; whoever comes here has loaded it

    if torch.distributed.is_initialized() and torch.cuda.is_available():
        torch.distributed.destroy_process_group()


def _say_left() -> int:
    if os.environ.get("RANK", "0") == "0":
        print("asked to stop: what is finished is kept, and the same command goes on", flush=True)
    return PREEMPTED


@contextmanager
def first_rank_speaks() -> Iterator[None]:
    """Where all ranks stop for one reason, the others leave later than rank 0, which has the message.

    A launcher ends every rank as soon as it sees the first one fail, and the message would be lost.
    """
    try:
        yield
    except (UserError, SystemExit) as leaving:
        if os.environ.get("RANK", "0") != "0" and getattr(leaving, "code", None) != PREEMPTED:
            time.sleep(LEAD_SECONDS)
        raise


class StopSignals:
    """SIGTERM and SIGUSR1: heard in training at the end of the step, and everywhere else at once.

    Before training and after it everything on disk is whole or a journal at any moment, so the process just ends there,
    with code 75. A second signal never interrupts the leaving.
    """

    numbers = (signal.SIGTERM, signal.SIGUSR1)

    def __init__(self) -> None:
        self.at_once, self.listening, self.heard = True, False, False

    def listen(self) -> None:
        """To be called once by a process of its own, as early as can be."""
        self.listening = True
        for number in self.numbers:
            signal.signal(number, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        first, self.heard, PULSE.asked = not self.heard, True, True
        if first and self.at_once:
            raise SystemExit(PREEMPTED)


SIGNALS = StopSignals()
"""of this process"""


@contextmanager
def in_training() -> Iterator[None]:
    """Whatever began inside (`training_begins`) is over after it."""
    try:
        yield
    finally:
        SIGNALS.at_once, PULSE.watched = True, False


def training_begins() -> None:
    """From now on a signal waits for the end of the step, and a long silence is a fault."""
    PULSE.beat_at = time.monotonic()
    SIGNALS.at_once, PULSE.watched = False, True


def leave_if_asked() -> None:
    """ToLeave where a signal came that was not heard yet."""
    if PULSE.asked:
        raise ToLeave


def disk_fault(fault: BaseException) -> str | None:
    """What a failed write says where a disk, a quota or a limit is full; None for any other fault.

    torch and safetensors wrap the system's error in their own: the chain of causes is followed, and what they write.
    """
    seen: BaseException | None = fault
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in DISK_FAULTS:
            return f"{os.strerror(int(seen.errno or 0))}{f': {seen.filename}' if seen.filename else ''}"
        said = str(seen)
        for number in DISK_FAULTS:
            if os.strerror(number) in said or f"os error {number})" in said:
                return os.strerror(number)
        if "PytorchStreamWriter failed" in said or "unexpected pos" in said:
            return "the file could not be written to its end"
        seen = seen.__cause__ or seen.__context__
    return None
