"""Files that appear whole or not at all: after a fault the earlier file is untouched and nothing is left beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.files import creating, replacing, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_when_the_block_ends(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", "old")
    with replacing(tmp_path / "a") as temporary:
        temporary.write_text("new")
        assert (tmp_path / "a").read_text() == "old"
    assert ((tmp_path / "a").read_text(), names(tmp_path)) == ("new", ["a"])


def test_after_a_fault_the_earlier_file_is_there_and_nothing_else(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", "old")

    def be_interrupted() -> None:
        with replacing(tmp_path / "a") as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        be_interrupted()
    assert ((tmp_path / "a").read_text(), names(tmp_path)) == ("old", ["a"])


def test_folders_above_are_made_and_the_text_is_utf_8(tmp_path: Path) -> None:
    write_whole(tmp_path / "b" / "c" / "a", "ä")
    assert (tmp_path / "b" / "c" / "a").read_bytes() == b"\xc3\xa4"


def test_a_new_file_never_takes_the_place_of_one_that_came_meanwhile(tmp_path: Path) -> None:

    def create_while_another_does() -> None:
        with creating(tmp_path / "a") as temporary:
            temporary.write_text("mine")
            (tmp_path / "a").write_text("of another")

    with pytest.raises(FileExistsError):
        create_while_another_does()
    assert ((tmp_path / "a").read_text(), names(tmp_path)) == ("of another", ["a"])


def test_a_new_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    with creating(tmp_path / "a") as temporary:
        temporary.write_text("new")
        assert not (tmp_path / "a").exists()
    assert ((tmp_path / "a").read_text(), names(tmp_path)) == ("new", ["a"])
