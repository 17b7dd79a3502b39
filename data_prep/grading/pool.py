"""Worker processes for graders that may hang, eat memory or crash: `GradingPool`.

Each worker is a fresh Python process (`worker`) that imports only its grader's library. It starts in about a second
whatever the parent has loaded, even in the middle of a training run. It gets one answer at a time. If it exceeds its
time it is killed, if it dies it is replaced, and only that answer is affected.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from data_prep.grading.rules import Grade
from recipes.paths import ROOT

LIMIT_SECONDS = 8.0
LIMIT_BYTES = 2 << 30
START_SECONDS = 120.0
MOST_WORKERS = 8
START = "import sys; sys.path.insert(0, sys.argv[1]); from data_prep.grading.worker import main; main(sys.argv[2:])"
KEPT = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "HOME", "LANG", "LC_ALL", "TMPDIR")


class _Worker:
    """One process; `index`: the answer that it is grading, `ready`: whether it has reported that it has started."""

    def __init__(self, grader: str, seconds: float, limit_bytes: int) -> None:
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "CUDA_VISIBLE_DEVICES": ""}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", START, str(ROOT), grader, str(seconds), str(limit_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=environment,
        )
        self.index: int | None = None
        self.ready = False
        self.deadline = time.monotonic() + START_SECONDS
        self._received = b""

    def fileno(self) -> int:
        """The descriptor of its replies, for `select`."""
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def give(self, index: int, answer: tuple[str, str], seconds: float) -> None:
        """Sends one answer; if the worker has died meanwhile, the next `reply` shows it."""
        assert self.process.stdin is not None
        line = memoryview((json.dumps(answer) + "\n").encode())
        self.index, self.deadline = index, time.monotonic() + seconds
        with suppress(BrokenPipeError):
            while line:
                line = line[self.process.stdin.write(line) or 0 :]

    def reply(self) -> list[Any] | None:
        """Its reply, or None if only a part has arrived. Raises EOFError if the process is dead."""
        part = os.read(self.fileno(), 1 << 16)
        if not part:
            raise EOFError
        self._received += part
        if not self._received.endswith(b"\n"):
            return None
        line, self._received = self._received, b""
        return list(json.loads(line))

    def kill(self) -> None:
        """Ends the process at once and waits until it is gone."""
        self.process.kill()
        self.process.communicate()


class GradingPool:
    """Up to `workers` processes for one grader, started when first needed and kept until `close`."""

    def __init__(
        self, grader: str, workers: int, seconds: float = LIMIT_SECONDS, limit_bytes: int = LIMIT_BYTES
    ) -> None:
        self.grader, self.most, self.seconds, self.limit_bytes = grader, workers, seconds, limit_bytes
        self.workers: list[_Worker] = []
        self._owner = os.getpid()
        self._lock = threading.Lock()

    def grade(self, answers: Sequence[tuple[str, str]]) -> list[Grade]:
        """One grade for each (text, gold), in order. Too slow: "grader timeout"; the process dead: "grader died"."""
        with self._lock:
            if os.getpid() != self._owner:  # a forked process has copies of the parent's pipes and must not use them
                self.workers, self._owner = [], os.getpid()
            try:
                return self._grade(answers)
            except BaseException:
                self.close()  # nobody waits for the workers' current answers any more
                raise

    def _grade(self, answers: Sequence[tuple[str, str]]) -> list[Grade]:
        grades: dict[int, Grade] = {}
        waiting = deque(range(len(answers)))
        while len(grades) < len(answers):
            in_hand = sum(worker.index is not None for worker in self.workers)
            while len(self.workers) < min(self.most, len(waiting) + in_hand):
                self.workers.append(_Worker(self.grader, self.seconds, self.limit_bytes))
            for worker in self.workers:
                if worker.ready and worker.index is None and waiting:
                    index = waiting.popleft()
                    worker.give(index, answers[index], self.seconds)
            at_work = [worker for worker in self.workers if worker.index is not None or not worker.ready]
            nearest = min(worker.deadline for worker in at_work) - time.monotonic()
            heard = select.select(at_work, [], [], max(0.0, nearest))[0]
            for worker in at_work:
                grade = self._outcome(worker, worker in heard)
                if grade is not None and worker.index is not None:
                    grades[worker.index], worker.index = grade, None
        return [grades[i] for i in range(len(answers))]

    def _outcome(self, worker: _Worker, heard: bool) -> Grade | None:
        """The grade of the worker's current answer, if it has arrived; a dead worker is removed from the pool."""
        try:
            reply = worker.reply() if heard else None
        except (EOFError, ValueError):
            return self._lost(worker, "grader died")
        if reply is None:
            return self._lost(worker, "grader timeout") if time.monotonic() >= worker.deadline else None
        if not worker.ready:
            worker.ready = True
            return None
        return Grade(*reply)

    def _lost(self, worker: _Worker, reason: str) -> Grade:
        worker.kill()
        self.workers.remove(worker)
        if not worker.ready:
            raise RuntimeError(
                f"the worker process of grader={self.grader} cannot start "
                f"(exit code {worker.process.returncode}); its output is above"
            )
        return Grade(False, "", reason)

    def close(self) -> None:
        """Ends every worker; the pool may be used again, with new ones."""
        for worker in self.workers if os.getpid() == self._owner else []:
            worker.kill()
        self.workers = []


def usual_workers() -> int:
    """Workers for this process: its share of the cores among the ranks of the machine, at most `MOST_WORKERS`."""
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(MOST_WORKERS, len(os.sched_getaffinity(0)) // ranks))


@cache
def shared_pool(grader: str) -> GradingPool:
    """The pool shared by all calls for one grader; it is closed when the process ends."""
    pool = GradingPool(grader, usual_workers())
    atexit.register(pool.close)
    return pool
