"""What a rank says and leaves behind where it ends."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from recipes.paths import ROOT
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

    with pytest.raises(StoppedAlone, match="free some space"):
        fill()


BEATING = """
import sys, time
from pathlib import Path
from runtime.pulse import PULSE, beat
from runtime.ranks import ALONE
from runtime.run_folder import RunFolder
from train.watch import Watch
PULSE.watched = True
with Watch(RunFolder(Path(sys.argv[1])), ALONE, 3.0):
    print("beats", flush=True)
    for _ in range(40):
        time.sleep(0.1)
        beat()
"""
"""gives a sign of life ten times a second, and would count as hung after three seconds without"""


@pytest.mark.slow
def test_a_process_that_was_stopped_for_longer_than_the_limit_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BEATING, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "beats\n"
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(subprocess.TimeoutExpired):  # stopped, it does not end
            process.wait(timeout=8)
        process.send_signal(signal.SIGCONT)
        errors = process.communicate(timeout=60)[1]
    assert (process.returncode, errors) == (0, "")
    assert "was stopped for" in (tmp_path / "logs" / "rank-0.log").read_text()


def test_the_thread_ends_with_the_block_whatever_is_left_of_its_poll(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("train.watch.POLL_SECONDS", 1000.0)
    with Watch(RunFolder(tmp_path), ALONE, 100.0) as watch:
        pass
    assert not watch.thread.is_alive()
