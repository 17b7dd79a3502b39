"""What a rank says and leaves behind where it ends."""

from __future__ import annotations

import errno
import os
import signal
import time
from contextlib import ExitStack, suppress
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from runtime.pulse import PULSE, beat
from runtime.ranks import ALONE
from runtime.run_folder import RunFolder
from train.exits import StoppedAlone
from train.watch import Watch


def test_a_disk_without_room_for_the_log_either_is_said_all_the_same(tmp_path: Path) -> None:
    def fill() -> None:
        with suppress(OSError), ExitStack() as opened, Watch(RunFolder(tmp_path), ALONE, 100.0) as watch:
            watch.log.close()
            watch.log = opened.enter_context(Path("/dev/full").open("w"))  # every write fails as on a full disk
            watch.log_of(0).with_name(f".end-{watch.token}-0").mkdir()  # so that this file cannot be written
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StoppedAlone, match="make room"):
        fill()


def _beating(folder: Path, ready: Event) -> None:
    """A process that gives a sign of life ten times a second, and would count as hung after one second without."""
    PULSE.watched = True
    with Watch(RunFolder(folder), ALONE, 1.0):
        ready.set()
        for _ in range(30):
            time.sleep(0.1)
            beat()


@pytest.mark.slow
def test_a_process_that_was_stopped_for_longer_than_the_limit_goes_on(tmp_path: Path) -> None:
    context = get_context("fork")
    ready = context.Event()
    process = context.Process(target=_beating, args=(tmp_path, ready))
    process.start()
    assert ready.wait(timeout=60) and process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    process.join(timeout=6)  # stopped, it does not end
    os.kill(process.pid, signal.SIGCONT)
    process.join(timeout=60)
    assert process.exitcode == 0
    assert "was stopped for" in (tmp_path / "logs" / "rank-0.log").read_text()
