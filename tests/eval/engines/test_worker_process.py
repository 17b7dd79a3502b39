"""A process over pipes: what it says arrives, its death and its silence are noticed, and nothing of it stays behind."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator

import pytest

from eval.engines import worker_process
from eval.engines.worker_process import WorkerProcess
from tests.eval.processes import has_ended, is_running

Start = Callable[[str], WorkerProcess]
ECHO = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"


@pytest.fixture
def start() -> Iterator[Start]:
    processes: list[WorkerProcess] = []

    def begin(code: str) -> WorkerProcess:
        processes.append(WorkerProcess([sys.executable, "-c", code], os.environ))
        return processes[-1]

    yield begin
    for process in processes:
        process.close()


def test_messages_go_both_ways(start: Start) -> None:
    process = start(ECHO)
    process.tell({"key": 1, "text": "é\n"})
    assert process.hear(30) == {"key": 1, "text": "é\n"}


def test_what_is_no_message_is_passed_over(start: Start) -> None:
    assert start("print('Loading …'); print('{\"ready\": 1}', flush=True); input()").hear(30) == {"ready": 1}


def test_death_is_heard_with_its_last_words(start: Start) -> None:
    process = start("import sys; print('first\\n\\nlast', file=sys.stderr); sys.exit(3)")
    assert process.hear(30) is None
    process.close()
    assert process.last_words(1) == "last | exit code 3"


def test_a_kill_is_named(start: Start) -> None:
    process = start("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert process.hear(30) is None
    process.close()
    assert process.last_words(3) == "SIGKILL"


def test_a_message_to_the_dead_goes_unheard(start: Start) -> None:
    process = start("pass")
    assert process.hear(30) is None
    process.tell({"key": 1})


def test_silence_is_noticed(start: Start) -> None:
    with pytest.raises(TimeoutError):
        start("input()").hear(0.05)


def test_closing_ends_what_it_has_started_though_they_do_not_listen(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "GRACE_SECONDS", 0.1)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    process = start(
        f"import json, subprocess, sys, time\nchild = subprocess.Popen([sys.executable, '-c', {deaf!r}], "
        "stdout=subprocess.PIPE)\nchild.stdout.readline()\nprint(json.dumps({'child': child.pid}), flush=True)\n"
        "time.sleep(600)"
    )
    heard = process.hear(30)
    assert heard is not None and is_running(heard["child"])
    process.close()
    assert has_ended(process.pid) and has_ended(heard["child"])
