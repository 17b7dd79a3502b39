"""Locks: whoever comes second waits and says so, or is refused; a lock ends with the file that holds it."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

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
