"""Folders that are made once: half-written, damaged and contended ones."""

from __future__ import annotations

import errno
import multiprocessing
import socket
from pathlib import Path

import pytest

from recipes.errors import UserError
from runtime.cache import fault_of, make_once
from runtime.seal import COMPLETE


def write_seven(folder: Path) -> None:
    (folder / "rows").write_text("7" * 100)


def must_not_be_made(folder: Path) -> None:
    raise AssertionError("made again")


def said(folder: Path, make=write_seven) -> list[str]:  # type: ignore[no-untyped-def]
    lines: list[str] = []
    lines.append(make_once(folder, make, lines.append))
    return lines


def test_made_at_first_and_found_afterwards(tmp_path: Path) -> None:
    assert (said(tmp_path / "c" / "a"), said(tmp_path / "c" / "a", must_not_be_made)) == (["made"], ["found"])
    assert (tmp_path / "c" / "a" / "rows").read_text() == "7" * 100


def flip_a_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[50] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        (lambda folder: flip_a_byte(folder / "rows"), "rows has other bytes"),
        (lambda folder: (folder / "rows").write_text("7" * 99), "rows has 99 bytes instead of 100"),
        (lambda folder: (folder / "rows").unlink(), "rows is missing"),
        (lambda folder: (folder / COMPLETE).unlink(), "COMPLETE is missing"),
        (lambda folder: (folder / COMPLETE).write_text(""), "COMPLETE is empty"),
        (lambda folder: (folder / COMPLETE).write_text('{"rows": 7}'), "COMPLETE is damaged (its own hash differs)"),
        (lambda folder: (folder / COMPLETE).write_text("[]"), "COMPLETE is damaged (its own hash differs)"),
        (lambda folder: (folder / COMPLETE).write_bytes(b"\xff"), "COMPLETE is damaged (Expecting value"),
    ],
    ids=["bit", "cut", "gone", "unsealed", "empty-seal", "wrong-seal", "list-seal", "broken-seal"],
)
def test_a_damaged_folder_is_noticed_and_made_again(harm, fault: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    said(tmp_path / "a")
    harm(tmp_path / "a")
    told, outcome = said(tmp_path / "a")
    assert fault in told and outcome == "found damaged and made again"
    assert (tmp_path / "a" / "rows").read_text() == "7" * 100


def test_what_dies_half_way_leaves_nothing_that_is_used(tmp_path: Path) -> None:
    def die(folder: Path) -> None:
        write_seven(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        said(tmp_path / "a", die)
    assert not (tmp_path / "a").exists()
    assert said(tmp_path / "a") == ["made"]


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    child = multiprocessing.get_context("spawn").Process(target=int)
    child.start()
    child.join()
    left = tmp_path / f".a.{socket.gethostname()}.{child.pid}"
    left.mkdir()
    said(tmp_path / "a")
    assert not left.exists()


def make_slowly(folder: str, gate, made) -> None:  # type: ignore[no-untyped-def]
    """Run in a process: waits for the other at the gate, then wants the same folder."""

    def make(place: Path) -> None:
        made.put(str(place))
        write_seven(place)

    gate.wait()
    make_once(Path(folder), make, lambda text: None)


def test_two_at_once_make_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    gate, made = context.Barrier(2), context.Queue()
    pair = [context.Process(target=make_slowly, args=(str(tmp_path / "a"), gate, made)) for _ in range(2)]
    for process in pair:
        process.start()
    for process in pair:
        process.join()
    assert ([process.exitcode for process in pair], fault_of(tmp_path / "a")) == ([0, 0], None)
    made.get(timeout=5)
    assert made.empty()


def test_a_folder_that_came_in_between_is_kept(tmp_path: Path) -> None:
    """As on a file system without locks: another has finished while this one was at work."""

    def make(place: Path) -> None:
        write_seven(place)
        if place.parent == tmp_path and not (tmp_path / "other").exists():
            said(tmp_path / "other")
            (tmp_path / "other").rename(tmp_path / "a")
            (tmp_path / "other").mkdir()

    said(tmp_path / "a", make)
    assert (fault_of(tmp_path / "a"), list(tmp_path.glob(".a.*.*"))) == (None, [])


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (OSError(errno.ENOSPC, "words of a library"), UserError),
        (FileNotFoundError(errno.ENOENT, "gone", "traces.jsonl"), FileNotFoundError),
        (PermissionError(errno.EACCES, "closed", "elsewhere/traces.jsonl"), PermissionError),
        (OSError("a library's own, without a number"), OSError),
    ],
    ids=str,
)
def test_only_a_folder_that_cannot_be_written_is_called_so(fault: OSError, kind: type, tmp_path: Path) -> None:
    def make(place: Path) -> None:
        raise fault

    with pytest.raises(kind) as caught:
        said(tmp_path / "a", make)
    assert kind is not UserError or str(caught.value) == (
        f"data.cache_dir={tmp_path}: cannot be written (No space left on device); name another folder"
    )


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"data\.cache_dir=.*file: cannot be written .*name another folder"):
        said(tmp_path / "file" / "a")
