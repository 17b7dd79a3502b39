"""Each rank's own log, and a watchdog thread that reacts while the rank is blocked in a collective.

The thread forwards a stop signal to all ranks, ends this process if another rank has died or if there was no progress
for too long, and names the log to read. It never affects training.
"""

from __future__ import annotations

import faulthandler
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
import uuid
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple

from recipes.errors import UserError
from runtime.pulse import PULSE, ToLeave
from runtime.ranks import Ranks, on_first_rank
from runtime.run_folder import RunFolder
from train.checkpoints import no_room
from train.exits import LEAD_SECONDS, PREEMPTED, SIGNALS, Stopped, StoppedAlone, disk_fault

POLL_SECONDS = 1.0
SILENT_SECONDS = 5.0  # a live process touches its log every second
STOPPED_SECONDS = 3.0  # beyond its poll: only a process that was itself stopped, or its machine, is late by this
OWN_END_SECONDS = 5.0  # grace period for a blocked process to end by itself


class Peer(NamedTuple):
    """Another rank: its process and its files."""

    rank: int
    host: str
    process: int
    log: Path
    end: Path

    def has_died(self) -> bool:
        """Whether it ended without a regular exit; on another machine only its own files tell."""
        if self.end.is_file():
            return self.end.read_text(encoding="utf-8") == "failed"
        return self.host == socket.gethostname() and not _is_running(self.process)

    def is_silent(self, seconds: float = SILENT_SECONDS) -> bool:
        """Whether even its thread was silent for so long: the process was stopped, or its machine is unreachable."""
        return time.time() - self.log.stat().st_mtime > seconds


def _is_running(process: int) -> bool:
    """Whether a process of this machine runs; a zombie counts as ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


class Watch:
    """Watches this process within the block. The logs are in `logs` of the run folder.

    An exception that leaves the block becomes a message if its cause is a full disk or the death of another rank.
    """

    def __init__(self, run: RunFolder, ranks: Ranks, stall_seconds: float) -> None:
        self.run, self.folder, self.ranks, self.stall_seconds = run, run.logs, ranks, stall_seconds
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        self.token: str = on_first_rank(self.ranks, self._make_folder)
        self.leave_file = self.folder / f".leave-{self.token}"
        self.log: IO[str] = self.log_of(self.ranks.rank).open("a", encoding="utf-8")
        # logs are opened before the ranks exchange their paths, so that each can read the others' from then on
        self._note(f"rank {self.ranks.rank} of {self.ranks.count}, process {os.getpid()} on {socket.gethostname()}")
        me = (self.ranks.rank, socket.gethostname(), os.getpid())
        self.peers = [
            Peer(rank, host, process, self.log_of(rank), self._end_of(rank))
            for rank, host, process in self.ranks.gather([me])
            if rank != self.ranks.rank
        ]
        self.waker, self.sleeper = socket.socketpair()
        self.waker.setblocking(False)
        if SIGNALS.listening:  # this process belongs to a run
            faulthandler.enable(self.log)
            signal.set_wakeup_fd(self.waker.fileno(), warn_on_full_buffer=False)
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        failed = isinstance(fault, Exception) and not isinstance(fault, UserError | ToLeave | Stopped)
        disk = disk_fault(fault) if failed and fault else None
        dead = self._dead_peers(12 if failed and disk is None else 1) if fault else []
        self._write_end("failed" if failed else "left")
        if failed:  # also if the terminal shows only a short message
            self._note("".join(traceback.format_exception(fault)))
        self.over.set()
        with suppress(OSError):
            self.waker.send(b"\0")  # no signal has this number; it wakes the thread before the end of its poll
        self.thread.join()
        if SIGNALS.listening:
            signal.set_wakeup_fd(-1)
            faulthandler.disable()
        self.waker.close()
        self.sleeper.close()
        with suppress(OSError):
            self.log.close()
        if disk:
            raise StoppedAlone(no_room(self.run, disk)) from None
        if dead:
            raise SystemExit(self._say_dead(dead) or 1) from None

    def log_of(self, rank: int) -> Path:
        return self.folder / f"rank-{rank}.log"

    def _end_of(self, rank: int) -> Path:
        return self.folder / f".end-{self.token}-{rank}"

    def _make_folder(self) -> str:
        """Creates the folder and removes files of earlier starts; returns a name for this start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in (*self.folder.glob(".leave-*"), *self.folder.glob(".end-*")):
            left.unlink(missing_ok=True)
        return uuid.uuid4().hex[:12]

    def _note(self, text: str) -> None:
        with suppress(OSError):  # on a full disk the message must still reach the terminal
            print(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}", file=self.log, flush=True)

    def _write_end(self, word: str) -> None:
        with suppress(OSError):
            self._end_of(self.ranks.rank).write_text(word, encoding="utf-8")

    def _watch(self) -> None:
        asked_at: float | None = None
        looked_at = time.monotonic()
        while not self.over.is_set():
            # the main thread's signal handler cannot run while that thread waits in a collective, but the byte that
            # Python writes for the signal (`set_wakeup_fd`) still arrives here
            if select.select([self.sleeper], [], [], POLL_SECONDS)[0]:
                heard = self.sleeper.recv(64)
                if any(number in heard for number in SIGNALS.numbers):
                    with suppress(OSError):  # if it fails, the ranks still agree at the end of the step
                        self.leave_file.touch()
            if self.over.is_set():
                return  # the main thread is leaving the block and beats no longer
            with suppress(OSError):
                os.utime(self.log_of(self.ranks.rank))
            if self._was_stopped(looked_at):
                looked_at = time.monotonic()
                continue
            looked_at = time.monotonic()
            if asked_at is None and self.leave_file.is_file():
                asked_at = time.monotonic()
                if not SIGNALS.heard and SIGNALS.listening:
                    os.kill(os.getpid(), signal.SIGUSR1)
            if asked_at and SIGNALS.at_once and time.monotonic() - asked_at > 2 * OWN_END_SECONDS:
                self._end_now("asked to stop, and blocked", PREEMPTED)
            self._look_at_others()
            silent = PULSE.watched and PULSE.silence_seconds() > self.stall_seconds
            # a rank that waits for others makes no progress itself; then the others' silence counts
            longest = max(self.stall_seconds, SILENT_SECONDS)
            silent = silent or (PULSE.waits and any(peer.is_silent(longest) for peer in self.peers))
            # if this process was stopped since the last poll, all ranks seem late; the next poll decides
            if silent and not self._was_stopped(looked_at, pause=0.0):
                self._stalled()

    def _was_stopped(self, looked_at: float, pause: float = POLL_SECONDS) -> bool:
        """Whether this process was itself stopped since its last poll. If so, the silence of other ranks, which may
        have been stopped with it, does not count."""
        away_seconds = time.monotonic() - looked_at - pause
        if away_seconds > STOPPED_SECONDS:
            self._note(f"was stopped for {away_seconds:.0f} s, which are not counted")
            PULSE.beat_at = time.monotonic()
        return away_seconds > STOPPED_SECONDS

    def _look_at_others(self) -> None:
        """Handles the death of other ranks, for which this process would wait forever. Normally the main thread gets an
        error and ends by itself."""
        dead = [peer for peer in self.peers if peer.has_died()]
        if dead and not self.over.wait(OWN_END_SECONDS):
            self._end_now(self._say_dead(dead), 1)

    def _stalled(self) -> None:
        silent = [peer for peer in self.peers if peer.is_silent()]
        where = ", ".join(f"rank {peer.rank} is silent, its own log is {peer.log}" for peer in silent)
        self._end_now(
            f"rank {self.ranks.rank} has seen no step, no token of a sweep and no save for "
            f"{self.stall_seconds:g} s (run.stall_seconds) and ends: "
            f"{where or 'its stacks, and those of the other ranks, are in their own logs'}; "
            f"its stacks are in {self.log_of(self.ranks.rank)}",
            1,
        )

    def _dead_peers(self, tries: int) -> list[Peer]:
        """Ranks that died before this one failed; the system reports it after a moment."""
        for _ in range(tries if self.peers else 0):
            dead = [peer for peer in self.peers if peer.has_died()]
            if dead:
                return dead
            self.over.wait(0.25)
        return []

    def _say_dead(self, dead: list[Peer]) -> str:
        """One message for all ranks: the first live rank prints it, the others only log it."""
        others = [peer.rank for peer in self.peers if not peer.has_died()]
        logs = ", ".join(f"rank {peer.rank} has died, its own log is {peer.log}" for peer in dead)
        text = f"{logs}; the run ends; the same command resumes from the last complete checkpoint"
        return text if self.ranks.rank < min([*others, self.ranks.count]) else ""

    def _end_now(self, text: str, code: int) -> None:
        """Ends the process from this thread, with the stacks of all threads in its log."""
        self._note(text or "ends after another rank")
        faulthandler.dump_traceback(self.log, all_threads=True)
        first = min(
            [self.ranks.rank, *(peer.rank for peer in self.peers if not peer.has_died() and not peer.is_silent())]
        )
        if self.ranks.rank != first:
            self.over.wait(LEAD_SECONDS)
        elif text:
            print(text, file=sys.stderr, flush=True)
        self._write_end("failed" if code == 1 else "left")
        os._exit(code)
