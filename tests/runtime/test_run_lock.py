"""A run folder belongs to one process at a time, and a dead one is no obstacle."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recipes.errors import UserError
from runtime.ranks import ALONE, Ranks
from runtime.run_lock import LOCK, alone_in, check_free, presence


@contextmanager
def forked(work: Callable[[], None]) -> Iterator[int]:
    """The number of a process that has done `work` and then stays until it is killed at the end."""
    reads, writes = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reads)
        work()
        os.write(writes, b"x")
        signal.pause()
    os.close(writes)
    assert os.read(reads, 1) == b"x"
    os.close(reads)
    try:
        yield process
    finally:
        kill(process)


def kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    except (ProcessLookupError, ChildProcessError):
        return


def take(folder: Path) -> Callable[[], None]:
    def work() -> None:
        context = alone_in(folder, ALONE, print)
        globals().setdefault("taken", []).append(context)  # else it would be given back with its last name
        context.__enter__()

    return work


def refusal(folder: Path) -> str:
    with pytest.raises(UserError) as early:
        check_free(folder)
    with pytest.raises(UserError) as late, alone_in(folder, ALONE, print):
        pass
    assert str(early.value) == str(late.value)
    return str(late.value)


def test_the_second_start_is_refused_and_told_who_runs(tmp_path: Path) -> None:
    with forked(take(tmp_path / "run")) as process:
        said = refusal(tmp_path / "run")
    assert said.startswith(f"run.dir={tmp_path / 'run'}: process {process} on {socket.gethostname()} (since 20")
    assert "wait for it, stop it (SIGTERM: it saves and ends), or name another folder" in said


def test_what_a_dead_process_left_is_no_obstacle(tmp_path: Path) -> None:
    with forked(take(tmp_path)) as process:
        kill(process)
        assert str(process) in (tmp_path / LOCK).read_text()
        check_free(tmp_path)
        with alone_in(tmp_path, ALONE, print):
            assert str(os.getpid()) in (tmp_path / LOCK).read_text()


def test_children_of_a_dead_process_are_none_either(tmp_path: Path) -> None:
    child = tmp_path / "child"

    def with_a_child() -> None:
        take(tmp_path / "run")()
        with forked(lambda: None) as number:
            child.write_text(str(number))
            os.kill(os.getpid(), signal.SIGKILL)

    process = os.fork()
    if process == 0:
        with_a_child()
    os.waitpid(process, 0)
    try:
        with alone_in(tmp_path / "run", ALONE, print):
            assert Path(f"/proc/{child.read_text()}").exists()
    finally:
        os.kill(int(child.read_text()), signal.SIGKILL)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": 7}'])
def test_a_lock_that_says_nothing_is_refused_all_the_same(tmp_path: Path, content: str) -> None:
    def work() -> None:
        take(tmp_path)()
        (tmp_path / "other").write_text(content)
        os.truncate(tmp_path / LOCK, 0)
        with (tmp_path / LOCK).open("a") as again:  # a name of its own: closing it gives the lock back
            again.write(content)
        fcntl.lockf(held := (tmp_path / LOCK).open("a"), fcntl.LOCK_EX)
        globals()["held"] = held

    with forked(work):
        assert "another process is running in it" in refusal(tmp_path)


def test_who_looks_sees_whether_a_run_is_there_was_killed_or_has_left(tmp_path: Path) -> None:
    assert presence(tmp_path) == "unknown"
    with forked(take(tmp_path)) as process:
        assert presence(tmp_path) == "running"
        kill(process)
        assert presence(tmp_path) == "killed"
    (tmp_path / "run.json").write_text("{}")
    with alone_in(tmp_path, ALONE, print):
        pass
    assert presence(tmp_path) == "left"
    # a copy of a folder in which a run of another machine is active
    (tmp_path / LOCK).write_text('{"host": "elsewhere.example", "process": 1, "started": "today"}')
    assert presence(tmp_path) == "unknown"


def test_looking_does_not_take_the_lock(tmp_path: Path) -> None:
    with forked(take(tmp_path)):
        assert presence(tmp_path) == "running"
        assert "is running in it" in refusal(tmp_path)


def test_a_folder_that_came_to_nothing_goes_and_one_with_a_run_stays(tmp_path: Path) -> None:
    with alone_in(tmp_path / "empty", ALONE, print):
        pass
    with alone_in(tmp_path / "run", ALONE, print):
        (tmp_path / "run" / "run.json").write_text("{}")
    assert not (tmp_path / "empty").exists()
    assert {path.name: path.read_text() for path in (tmp_path / "run").iterdir()} == {LOCK: "", "run.json": "{}"}


def test_a_free_folder_is_free_and_left_as_it_is(tmp_path: Path) -> None:
    check_free(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "lockf", none)
    told: list[str] = []
    with alone_in(tmp_path, ALONE, told.append):
        check_free(tmp_path)
    assert told == [f"run.dir={tmp_path}: no locks there (No locks available); do not start a second run in it"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "run"
    said = r"run.dir=.*: cannot be written \(.*\); name another folder"
    with pytest.raises(UserError, match=said), alone_in(folder, ALONE, print):
        pass


def test_other_ranks_hold_nothing(tmp_path: Path) -> None:
    second = Ranks(1, 2, lambda rows: [("done", None, 0)])
    with alone_in(tmp_path / "run", second, print):
        assert not (tmp_path / "run").exists()


def test_a_link_in_place_of_the_lock_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("somebody else's")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).symlink_to(tmp_path / "other.txt")
    with pytest.raises(UserError, match="cannot be written"), alone_in(tmp_path / "run", ALONE, print):
        pass
    assert (tmp_path / "other.txt").read_text() == "somebody else's"
