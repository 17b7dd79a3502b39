"""How the processes of a run exit: exit codes, stop signals, and which rank prints first if all must stop."""

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
"""exit code of a run that was told to stop: the same command resumes, and no finished work is lost"""
LEAD_SECONDS = 5.0
DISK_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Stopped(Exception):
    """All ranks stop for a reason other than a mistake in the recipe; the message says what to do. Exit code 1."""


class StoppedAlone(Stopped):
    """The same on one rank only; the others do not know of it."""


def leaving(work: Callable[[], int]) -> int:
    """The exit code of `work`; prints a message if it stops, or ends because of a stop signal.

    When one rank exits at once, the collectives of the others fail. They got the signal too, so this is not an error.
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
    """Runs `work`, then destroys the process group, as NCCL requires; only if all ranks come to the end.

    After a fault on one rank, this would wait for ranks that still wait for it.
    """
    try:
        code = work()
    except UserError:  # on all ranks
        _part()
        raise
    _part()
    return code


def _part() -> None:
    import torch  # heavy, but loaded already at this point

    if torch.distributed.is_initialized() and torch.cuda.is_available():
        torch.distributed.destroy_process_group()


def _say_left() -> int:
    if os.environ.get("RANK", "0") == "0":
        print("asked to stop: finished work is kept; the same command resumes", flush=True)
    return PREEMPTED


@contextmanager
def first_rank_speaks() -> Iterator[None]:
    """If all ranks stop for one reason, the others exit later than rank 0, which prints the message.

    A launcher ends every rank as soon as it sees the first one fail; the message would be lost.
    """
    try:
        yield
    except (UserError, SystemExit) as leaving:
        if os.environ.get("RANK", "0") != "0" and getattr(leaving, "code", None) != PREEMPTED:
            time.sleep(LEAD_SECONDS)
        raise


class StopSignals:
    """SIGTERM and SIGUSR1: handled at the end of the step in training, and at once everywhere else.

    Before and after training, files on disk are always complete or are journals, so the process simply exits there,
    with code 75. A second signal never interrupts the exit.
    """

    numbers = (signal.SIGTERM, signal.SIGUSR1)

    def __init__(self) -> None:
        self.at_once, self.listening, self.heard = True, False, False

    def listen(self) -> None:
        """Installs the handlers; call it once, as early as possible, in a process that we own."""
        self.listening = True
        for number in self.numbers:
            signal.signal(number, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        first, self.heard, PULSE.asked = not self.heard, True, True
        if first and self.at_once:
            raise SystemExit(PREEMPTED)


SIGNALS = StopSignals()
"""the signals of this process"""


@contextmanager
def in_training() -> Iterator[None]:
    """Ends the training phase that began inside the block (`training_begins`)."""
    try:
        yield
    finally:
        SIGNALS.at_once, PULSE.watched = True, False


def training_begins() -> None:
    """From now on a signal waits for the end of the step, and the stall watchdog is active."""
    PULSE.beat_at = time.monotonic()
    SIGNALS.at_once, PULSE.watched = False, True


def leave_if_asked() -> None:
    """ToLeave if a signal came that was not handled yet."""
    if PULSE.asked:
        raise ToLeave


def disk_fault(fault: BaseException) -> str | None:
    """The message of a write that failed because a disk, quota or limit is full; None for any other fault.

    torch and safetensors wrap the system's error in their own, so the chain of causes and their messages are searched.
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
            return "the file could not be written completely"
        seen = seen.__cause__ or seen.__context__
    return None
