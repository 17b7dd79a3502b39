"""Starts of commands from one warm process (`tests.train.warm`): the libraries are imported once, each start is a fork.

What a start does is what `python SCRIPT ...`, `python -m MODULE ...` or `python -c CODE ...` does once its imports are
through: its own arguments, folder, environment, output and exit. A fork has no launcher, and all forks have the same
seed of hashes; `tests/train/runs.py` has the real starts, which the tests of launchers and entries use.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import torch

from recipes.paths import ROOT
from tests.train.runs import SCRIPT, environment, free_port, need_devices

PAUSE_SECONDS, WAIT_SECONDS = 0.01, 120.0
END_SECONDS, GRACE_SECONDS = 900.0, 60.0
"""how long a start may take, and how much longer than one that failed the other ranks may"""
IMPORTED = ("train.stages", "train.closing", "train.hooks.of_run", "eval.engines.hf", "matplotlib.backends.backend_agg")
ON_CPUS = ("deepspeed.runtime.engine", "deepspeed.runtime.zero.stage3", "deepspeed.runtime.zero.muon.original_muon")
"""imported beforehand where there is no GPU: some of them look for one, after which no fork could use it"""


class Outcome(NamedTuple):
    """code: the exit code, or minus the signal that ended it. cpu: seconds."""

    code: int
    cpu: float


class Start:
    """One start: its process, and the files of what it prints."""

    def __init__(self, starter: Starter, pid: int, out: Path, errors: Path) -> None:
        self.starter, self.pid, self.out, self.errors = starter, pid, out, errors
        self.outcome: Outcome | None = None

    def send(self, number: int) -> None:
        if self.outcome is None:
            os.kill(self.pid, number)

    def lives(self) -> bool:
        return not self.has_ended(0.0)

    def has_ended(self, seconds: float) -> bool:
        """Waits for its end, so long at most. Until `end` has asked how it ended it is a zombie with its number."""
        stat = Path(f"/proc/{self.pid}/stat")
        return self.outcome is not None or holds_within(lambda: ") Z" in stat.read_text(), seconds)

    def end(self, seconds: float = END_SECONDS) -> Outcome:
        """Waits for its end."""
        if self.outcome is None:
            assert self.has_ended(seconds), f"not through after {seconds:.0f} s: {self.errors.read_text()[-2000:]}"
            said = self.starter.ask({"wait": self.pid})
            self.outcome = Outcome(os.waitstatus_to_exitcode(said["status"]), said["cpu"])
        return self.outcome


class Starter:
    """The warm process. What it and its starts print lies in a folder of its own."""

    def __init__(self) -> None:
        self.kept = tempfile.TemporaryDirectory(prefix="starts-")
        self.folder, self.number = Path(self.kept.name), 0
        modules = IMPORTED if torch.cuda.device_count() else (*IMPORTED, *ON_CPUS)
        with (self.folder / "imports").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.train.warm", *modules],
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def close(self) -> None:
        """Ends it and whatever of its starts still runs."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait(timeout=120)
        self.kept.cleanup()

    def ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the warm process has ended: {self.imports()[-2000:]}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def imports(self) -> str:
        """What was said by the imports, which a process of its own would have said, too."""
        return (self.folder / "imports").read_text()

    def start(self, command: Sequence[str], folder: Path, cpu_seconds: float | None = None, **more: str) -> Start:
        """`python COMMAND` in `folder`, with `more` in its environment.

        `cpu_seconds`: the kernel ends the process for good after so much CPU time, at whatever instruction it is by
        then, as SIGKILL does; a measure that does not depend on how busy the machine is.
        """
        self.number += 1
        out, errors = (self.folder / f"{self.number}-{name}" for name in ("out", "errors"))
        places = {"folder": str(folder), "out": str(out), "errors": str(errors)}
        asked = {"command": list(command), "places": places, "environment": environment(**more)}
        return Start(self, self.ask({**asked, "cpu_seconds": cpu_seconds})["pid"], out, errors)


@cache
def starter() -> Starter:
    """That of this process, which ends with it."""
    warm = Starter()
    atexit.register(warm.close)
    return warm


def start_run(arguments: Sequence[str], cpu_seconds: float | None = None) -> Start:
    """`python launch/train.py ...`"""
    return starter().start([SCRIPT, *arguments], ROOT, cpu_seconds)


def start_rank(rank: int, port: int, command: Sequence[str], folder: Path, ranks: int = 2) -> Start:
    """One of several ranks, started as Slurm does: by itself, told by its environment."""
    need_devices(ranks)
    own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "LOCAL_SIZE": ranks, "MASTER_PORT": port}
    texts = {name: str(value) for name, value in own.items()}
    return starter().start(command, folder, MASTER_ADDR="127.0.0.1", **texts)


def completed(command: Sequence[str], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """`python COMMAND` in `folder` to its end."""
    start = starter().start(command, folder, **more)
    return _as_completed(command, [start], start.end().code)


def completed_ranks(command: Sequence[str], folder: Path, ranks: int) -> subprocess.CompletedProcess[str]:
    """The same on so many ranks: its code is the first that is not 0; what they print stands rank by rank."""
    port = free_port()
    starts = [start_rank(rank, port, command, folder, ranks) for rank in range(ranks)]
    wait_until(lambda: not all(start.lives() for start in starts), END_SECONDS)
    first = next((start.end().code for start in starts if not start.lives()), 0)
    for start in starts:
        if first and not start.has_ended(GRACE_SECONDS):
            start.send(signal.SIGKILL)
    codes = [first, *(start.end().code for start in starts)]
    return _as_completed(command, starts, next((code for code in codes if code), 0))


def _as_completed(command: Sequence[str], starts: list[Start], code: int) -> subprocess.CompletedProcess[str]:
    out = "".join(start.out.read_text() for start in starts)
    errors = starter().imports() + "".join(start.errors.read_text() for start in starts)
    return subprocess.CompletedProcess(list(command), code, out, errors)


def wait_until(holds: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    """Looks again and again; fails after two minutes."""
    assert holds_within(holds, seconds), f"did not come to pass in {seconds:.0f} seconds"


def holds_within(holds: Callable[[], bool], seconds: float) -> bool:
    """Looks again and again, once at least."""
    pause, end = Event(), time.monotonic() + seconds
    while not holds():
        if time.monotonic() >= end:
            return False
        pause.wait(PAUSE_SECONDS)
    return True
