"""Each rank's own log, and a thread beside the training that hears what a rank blocked in a collective cannot.

The thread passes a signal to stop on to all ranks, ends this process where another rank has died or where nothing
has moved for too long, and says which log to read. It never touches the training.
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
STOPPED_SECONDS = 3.0  # beyond its poll: so long only a process that was itself stopped, or its machine, looks away
OWN_END_SECONDS = 5.0  # what a blocked process gets to end by itself


class Peer(NamedTuple):
    """Another rank: where its process is, and where its files are."""

    rank: int
    host: str
    process: int
    log: Path
    end: Path

    def has_died(self) -> bool:
        """Whether it ended without leaving as it should; of another machine only what it wrote itself is known."""
        if self.end.is_file():
            return self.end.read_text(encoding="utf-8") == "failed"
        return self.host == socket.gethostname() and not _is_running(self.process)

    def is_silent(self, seconds: float = SILENT_SECONDS) -> bool:
        """Whether not even its thread has given a sign of life for so long: it was stopped, or its machine is gone."""
        return time.time() - self.log.stat().st_mtime > seconds


def _is_running(process: int) -> bool:
    """Whether a process of this machine runs; one that nobody has waited for yet has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


class Watch:
    """Watches over this process while the block lasts. The logs lie in the run's folder under `logs`.

    A fault that leaves the block becomes a message where it comes of a full disk, or of another rank that died.
    """

    def __init__(self, run: RunFolder, ranks: Ranks, stall_seconds: float) -> None:
        self.run, self.folder, self.ranks, self.stall_seconds = run, run.logs, ranks, stall_seconds
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        self.token: str = on_first_rank(self.ranks, self._make_folder)
        self.leave_file = self.folder / f".leave-{self.token}"
        self.log: IO[str] = self.log_of(self.ranks.rank).open("a", encoding="utf-8")
        # logs are opened before the ranks exchange where they are, so that each can look at all others' from then on
        self._note(f"rank {self.ranks.rank} of {self.ranks.count}, process {os.getpid()} on {socket.gethostname()}")
        me = (self.ranks.rank, socket.gethostname(), os.getpid())
        self.peers = [
            Peer(rank, host, process, self.log_of(rank), self._end_of(rank))
            for rank, host, process in self.ranks.gather([me])
            if rank != self.ranks.rank
        ]
        self.waker, self.sleeper = socket.socketpair()
        self.waker.setblocking(False)
        if SIGNALS.listening:  # this process is a run's own
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
        if failed:  # also where it is a short message in the terminal
            self._note("".join(traceback.format_exception(fault)))
        self.over.set()
        with suppress(OSError):
            self.waker.send(b"\0")  # no signal has this number; the thread need not wait for the end of its poll
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
        """Makes the folder without what earlier starts left; a name for this start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in (*self.folder.glob(".leave-*"), *self.folder.glob(".end-*")):
            left.unlink(missing_ok=True)
        return uuid.uuid4().hex[:12]

    def _note(self, text: str) -> None:
        with suppress(OSError):  # on a full disk the message in the terminal still matters
            print(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}", file=self.log, flush=True)

    def _write_end(self, word: str) -> None:
        with suppress(OSError):
            self._end_of(self.ranks.rank).write_text(word, encoding="utf-8")

    def _watch(self) -> None:
        asked_at: float | None = None
        looked_at = time.monotonic()
        while not self.over.is_set():
            # the signal handler of the main thread cannot run while that thread waits in a collective; the byte that
            # Python writes for it (`set_wakeup_fd`) arrives here all the same
            if select.select([self.sleeper], [], [], POLL_SECONDS)[0]:
                heard = self.sleeper.recv(64)
                if any(number in heard for number in SIGNALS.numbers):
                    with suppress(OSError):  # without it the ranks still agree at the end of the step
                        self.leave_file.touch()
            if self.over.is_set():
                return  # the main thread is on its way out of the block and beats no more
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
            # a rank that waits for others gives no sign of life of its own; it is their silence that counts then
            longest = max(self.stall_seconds, SILENT_SECONDS)
            silent = silent or (PULSE.waits and any(peer.is_silent(longest) for peer in self.peers))
            # a stop since the last look makes all clocks look late; the next look tells it from silence
            if silent and not self._was_stopped(looked_at, pause=0.0):
                self._stalled()

    def _was_stopped(self, looked_at: float, pause: float = POLL_SECONDS) -> bool:
        """Whether this process was itself stopped since it last looked; then what was silent meanwhile, ranks that
        were stopped along with it included, could not do otherwise, and the time does not count."""
        away_seconds = time.monotonic() - looked_at - pause
        if away_seconds > STOPPED_SECONDS:
            self._note(f"was stopped for {away_seconds:.0f} s, which do not count")
            PULSE.beat_at = time.monotonic()
        return away_seconds > STOPPED_SECONDS

    def _look_at_others(self) -> None:
        """Where a rank has died this process waits for it in vain; mostly the main thread is told, and ends itself."""
        dead = [peer for peer in self.peers if peer.has_died()]
        if dead and not self.over.wait(OWN_END_SECONDS):
            self._end_now(self._say_dead(dead), 1)

    def _stalled(self) -> None:
        silent = [peer for peer in self.peers if peer.is_silent()]
        where = ", ".join(f"rank {peer.rank} gives no sign of life, its own log is {peer.log}" for peer in silent)
        self._end_now(
            f"rank {self.ranks.rank} has seen no step, no token of a sweep and no save for "
            f"{self.stall_seconds:g} s (run.stall_seconds) and ends: "
            f"{where or 'its stacks, and those of the other ranks, are in their own logs'}; "
            f"its stacks are in {self.log_of(self.ranks.rank)}",
            1,
        )

    def _dead_peers(self, tries: int) -> list[Peer]:
        """Ranks that died before this one failed; it takes the system a moment to tell."""
        for _ in range(tries if self.peers else 0):
            dead = [peer for peer in self.peers if peer.has_died()]
            if dead:
                return dead
            self.over.wait(0.25)
        return []

    def _say_dead(self, dead: list[Peer]) -> str:
        """One message from all ranks together: the first that lives says it, the others only in their logs."""
        others = [peer.rank for peer in self.peers if not peer.has_died()]
        logs = ", ".join(f"rank {peer.rank} has died, its own log is {peer.log}" for peer in dead)
        text = f"{logs}; the run ends, and the same command goes on from the last complete checkpoint"
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
