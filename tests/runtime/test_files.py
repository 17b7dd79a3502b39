"""What is written under a temporary name appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.files import new_folder, replacing, write_whole


def test_text_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    for text in ("old", "né"):
        write_whole(tmp_path / "made" / "a.txt", text)
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "made").iterdir()] == [("a.txt", "né".encode())]


def stop_half_way(file: Path) -> None:
    file.write_text("half")
    raise RuntimeError


def test_file_that_is_not_finished_leaves_what_was_there(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError), replacing(tmp_path / "a.txt") as temporary:
        stop_half_way(temporary)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]


def test_folder_appears_when_it_is_filled(tmp_path: Path) -> None:
    with new_folder(tmp_path / "made" / "model") as temporary:
        (temporary / "a.txt").write_text("a")
        assert not (tmp_path / "made" / "model").exists()
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == [
        "made",
        "made/model",
        "made/model/a.txt",
    ]


def test_folder_may_take_the_place_of_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with new_folder(tmp_path / "model") as temporary:
        (temporary / "a.txt").write_text("a")
    assert (tmp_path / "model" / "a.txt").read_text() == "a"


def test_folder_that_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_folder(tmp_path / "model") as temporary:
        stop_half_way(temporary / "a.txt")
    assert list(tmp_path.iterdir()) == []
