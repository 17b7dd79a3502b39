"""Many starts of a run from one warm process: everything is imported once, each start is a fork of it.

    python -m tests.train.starts     reads lines {"arguments", "cpu_seconds"}, answers {"pid"}, then {"status", "cpu"}

`cpu_seconds`: the kernel ends the process for good after so much CPU time, at whatever instruction it is by then, as
SIGKILL does; a measure that does not depend on how busy the machine is.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, NamedTuple

from recipes.paths import ROOT
from tests.train.runs import environment

PAUSE_SECONDS, MOST_PAUSES = 0.02, 6000


class Outcome(NamedTuple):
    """code: the exit code, or minus the signal that ended it. cpu: seconds."""

    code: int
    cpu: float


class Start:
    """One start of a run."""

    def __init__(self, process: subprocess.Popen[str], pid: int) -> None:
        self.process, self.pid = process, pid

    def send(self, number: int) -> None:
        with suppress(ProcessLookupError):  # it may just have ended
            os.kill(self.pid, number)

    def lives(self) -> bool:
        return Path(f"/proc/{self.pid}").exists()

    def end(self) -> Outcome:
        """Waits for its end."""
        assert self.process.stdout is not None
        said = json.loads(self.process.stdout.readline())
        return Outcome(os.waitstatus_to_exitcode(said["status"]), said["cpu"])


class Starter:
    """The warm process. What starts print lies in `out`."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def __enter__(self) -> Starter:
        with self.out.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.train.starts"],
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=120)

    def start(self, arguments: Sequence[str], cpu_seconds: float | None = None) -> Start:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"arguments": list(arguments), "cpu_seconds": cpu_seconds}) + "\n")
        self.process.stdin.flush()
        return Start(self.process, json.loads(self.process.stdout.readline())["pid"])


def wait_until(holds: Callable[[], bool]) -> None:
    """Looks again and again; fails after two minutes."""
    pause = Event()
    for _ in range(MOST_PAUSES):
        if holds():
            return
        pause.wait(PAUSE_SECONDS)
    raise AssertionError("did not come to pass in two minutes")


def serve() -> None:
    """The loop of the warm process; what runs print goes to standard error."""
    import train.stages  # noqa: F401 - imported here once, for all starts

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(row: dict[str, Any]) -> None:
        print(json.dumps(row), file=answers, flush=True)

    for line in sys.stdin:
        asked = json.loads(line)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        pid = os.fork()
        if pid == 0:
            _run(**asked)
        answer({"pid": pid})
        _, status = os.waitpid(pid, 0)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        answer({"status": status, "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime})


def _run(arguments: list[str], cpu_seconds: float | None) -> None:
    """In the fork: the run as `launch/train.py` starts it."""
    from train.main import command

    if cpu_seconds is not None:
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)  # SIGPROF has no handler here: it ends the process
    sys.argv[1:] = arguments
    code = 1
    try:
        command()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
