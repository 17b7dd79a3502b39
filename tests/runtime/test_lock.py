"""Locks: whoever comes second waits and says so, or is refused; a lock ends with the file that holds it."""

from __future__ import annotations

import errno
import fcntl
import os
import queue
import signal
import threading
from pathlib import Path

import pytest

from runtime.lock import hold_lock, take_lock


def test_whoever_comes_second_says_once_what_it_waits_for(tmp_path: Path) -> None:
    told: queue.Queue[str] = queue.Queue()

    def come_second() -> None:
        with hold_lock(tmp_path / "a", told.put):
            told.put("in")

    second = threading.Thread(target=come_second)
    with hold_lock(tmp_path / "a", told.put):
        second.start()
        first = told.get(timeout=20)
        assert told.empty()
    second.join()
    assert (first, told.get()) == (f"waiting for another run that makes {tmp_path / 'a'}", "in")


def test_a_lock_that_is_held_is_refused_at_once_and_free_when_its_file_is_closed(tmp_path: Path) -> None:
    place = tmp_path / "file"
    with place.open("w") as second:
        with place.open("w") as first:
            assert (take_lock(first), take_lock(second)) == (True, False)
        assert take_lock(second)


def test_the_lock_lies_beside_what_is_made(tmp_path: Path) -> None:
    with hold_lock(tmp_path / "a", print):
        assert [path.name for path in tmp_path.iterdir()] == [".a.lock"]


def test_a_killed_process_leaves_the_lock_free(tmp_path: Path) -> None:
    process = os.fork()
    if process == 0:
        with hold_lock(tmp_path / "a", print):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(process, 0)
    told: list[str] = []
    with hold_lock(tmp_path / "a", told.append):
        assert (told, (tmp_path / ".a.lock").exists()) == ([], True)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_worked_on_all_the_same(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", none)
    told: list[str] = []
    with hold_lock(tmp_path / "a", told.append), (tmp_path / "b").open("w") as file:
        assert (take_lock(file), told) == (True, [])
        assert [path.name for path in sorted(tmp_path.iterdir())] == [".a.lock", "b"]


def test_a_folder_that_is_not_there_is_not_taken_for_one_without_locks(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), hold_lock(tmp_path / "nowhere" / "a", print):
        pass
