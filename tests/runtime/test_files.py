"""Whole writes, new folders, and rows of JSON Lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recipes.errors import UserError
from runtime.files import (
    append_row,
    creating,
    folder_fault,
    link_out,
    new_folder,
    objects_of,
    put_rows,
    read_rows,
    replacing,
    write_rows,
    write_whole,
    writing_fault,
)


def test_a_file_is_written_with_the_folders_above_it(tmp_path: Path) -> None:
    write_whole(tmp_path / "a" / "b" / "file", "text")
    assert (tmp_path / "a" / "b" / "file").read_text() == "text"


def test_after_a_fault_the_file_before_is_there_and_nothing_else(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", "before")

    def write() -> None:
        with replacing(tmp_path / "file") as temporary:
            temporary.write_text("half")
            raise KeyError("broken")

    with pytest.raises(KeyError):
        write()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "before")]


def test_rows_come_back(tmp_path: Path) -> None:
    rows = [{"a": 1}, {"a": "ä\u2028b\n"}, {"a": None}]
    write_rows(tmp_path / "rows.jsonl", rows)
    assert read_rows(tmp_path / "rows.jsonl") == rows


def test_without_a_file_there_are_no_rows(tmp_path: Path) -> None:
    assert read_rows(tmp_path / "rows.jsonl") == []


def test_added_rows_come_last(tmp_path: Path) -> None:
    for number in range(3):
        append_row(tmp_path / "folder" / "rows.jsonl", {"n": number})
    assert read_rows(tmp_path / "folder" / "rows.jsonl") == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_a_row_that_a_kill_cut_is_not_there_yet(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"n": 0}\n{"n": 1')
    assert read_rows(tmp_path / "rows.jsonl") == [{"n": 0}]


def test_a_broken_row_is_named_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"n": 0}\nnothing\n')
    with pytest.raises(UserError, match=r"rows\.jsonl:2: not JSON"):
        read_rows(tmp_path / "rows.jsonl")


def test_a_row_of_the_same_key_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    put_rows(tmp_path / "rows.jsonl", [{"step": 1, "v": 1}, {"step": 2, "v": 2}], ("step",))
    put_rows(tmp_path / "rows.jsonl", [{"step": 1, "v": 3}, {"step": 3, "v": 4}], ("step",))
    assert read_rows(tmp_path / "rows.jsonl") == [{"step": 1, "v": 3}, {"step": 2, "v": 2}, {"step": 3, "v": 4}]


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


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


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


def test_a_folder_takes_the_place_of_a_folder_and_of_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    (tmp_path / "broken").symlink_to("nowhere")
    faults = {name: folder_fault(tmp_path / name) for name in ("new", "folder", "file", "link", "broken")}
    assert faults == {
        "new": None,
        "folder": None,
        "file": "is a file",
        "link": f"is a link to {tmp_path / 'folder'}, which is not followed",
        "broken": "is a link to nowhere, which is not followed",
    }


def test_where_nothing_can_be_written_the_system_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert (writing_fault(tmp_path / "a" / "b"), writing_fault(tmp_path / "file")) == (None, "File exists")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    assert writing_fault(tmp_path / "file" / "below") == "Not a directory"
    assert writing_fault(Path("/dev/full")) == "File exists"


@pytest.mark.parametrize("place", ["samples", "samples/chain", "sweeps.jsonl", "checkpoint-4"])
@pytest.mark.parametrize("target", ["../elsewhere", "../elsewhere/none", "/"])
def test_a_link_that_leads_out_of_a_folder_is_found_at_any_depth(place: str, target: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "run" / place
    link.parent.mkdir(parents=True)
    link.symlink_to(target if target == "/" else tmp_path / target.removeprefix("../"))
    assert link_out(tmp_path / "run") == link
    assert link_out(tmp_path / "run", skipped=(place.split("/")[0],)) == (None if "/" in place else link)


def test_links_inside_a_folder_and_to_the_folder_itself_are_let_be(tmp_path: Path) -> None:
    (tmp_path / "real" / "wandb").mkdir(parents=True)
    (tmp_path / "real" / "checkpoint-4").mkdir()
    (tmp_path / "real" / "newest").symlink_to("checkpoint-4")
    (tmp_path / "real" / "wandb" / "debug.log").symlink_to("/var/log/none")
    (tmp_path / "run").symlink_to("real")
    assert link_out(tmp_path / "run", skipped=("wandb",)) is None


@pytest.mark.parametrize(
    "lines",
    [
        [b'{"a": 1}, {"a": 2}', b"7"],  # as many values as lines, but not one object in each
        [b'{"a": [{}', b'{"b": 1}]}'],  # one object over two lines
        [b'{"a": 1}', b""],
        [b"[1]"],
        [b"{broken}"],
    ],
)
def test_lines_that_are_not_one_object_each_are_not_read_together(lines: list[bytes]) -> None:
    assert objects_of(lines) is None


def test_lines_of_one_object_each_are_read_together_as_one_by_one() -> None:
    lines = ['{"a": "é\u2028,[{"}', '{"a": [1, {"b": null}]}', "{}"]
    assert objects_of([line.encode() for line in lines]) == [json.loads(line) for line in lines]
    assert objects_of([]) == []
