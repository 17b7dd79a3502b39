"""What a rank says and leaves behind where it ends."""

from __future__ import annotations

import errno
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

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
