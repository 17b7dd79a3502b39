"""The warm process of `tests.train.starts`: it imports the libraries once, and each start is a fork of it.

python -m tests.train.warm MODULE...   reads requests, one line of JSON each: a start, or the wait for its end
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from train.environment import prepare

MAY_RUN = {"jemalloc_bg_thd"}
"""threads of libraries that can be forked: jemalloc, in pyarrow, prepares itself for it"""


def serve(modules: Sequence[str]) -> None:
    """The loop of the warm process; whatever else it prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    prepare(os.environ, 1)
    for module in modules:
        importlib.import_module(module)
    others = {task.joinpath("comm").read_text().strip() for task in Path("/proc/self/task").iterdir()}
    others -= {Path("/proc/self/comm").read_text().strip(), *MAY_RUN}
    assert not others and threading.active_count() == 1, f"a fork would lose the threads {others}"
    shared = _kept_directories()
    gc.freeze()  # what is shared is not written to when a fork collects
    running: set[int] = set()
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            pid, status, usage = os.wait4(asked["wait"], 0)
            running.discard(pid)
            answer = {"status": status, "cpu": usage.ru_utime + usage.ru_stime}
        else:
            pid = os.fork()
            if pid == 0:
                answers.close()
                for directory in shared:
                    os.makedirs(directory, exist_ok=True)
                _become(**asked)
            running.add(pid)
            answer = {"pid": pid}
        print(json.dumps(answer), file=answers, flush=True)
    for pid in running:
        os.kill(pid, signal.SIGKILL)
    for directory in shared:
        shutil.rmtree(directory, ignore_errors=True)


def _kept_directories() -> list[str]:
    """The temporary directories that libraries made at their import, as W&B does for media: a fork that ends removes
    them, so the next one makes them anew (no two forks at once use W&B)."""
    # no isinstance: some lazy objects of libraries warn where they are asked for their class
    return [each.name for each in gc.get_objects() if type(each) is tempfile.TemporaryDirectory]


def _become(
    command: list[str], places: dict[str, str], environment: dict[str, str], cpu_seconds: float | None
) -> NoReturn:
    """In the fork: what Python does with a command, to the end of the interpreter."""
    for number, place in ((1, places["out"]), (2, places["errors"])):
        os.dup2(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(places["folder"])
    os.environ.clear()
    os.environ.update(environment)
    if cpu_seconds is not None:
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)  # SIGPROF has no handler here: it ends the process
    if command[0] == "-c":
        sys.argv = ["-c", *command[2:]]
        exec(command[1], {"__name__": "__main__"})  # noqa: S102 - the code of a test
    elif command[0] == "-m":
        sys.argv = command[1:]
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = command
        runpy.run_path(command[0], run_name="__main__")
    sys.exit(0)


if __name__ == "__main__":
    serve(sys.argv[1:])
