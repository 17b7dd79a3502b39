"""The seal of a folder tells a flipped byte, a cut file and a missing one, and a change of itself."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from runtime.seal import (
    COMPLETE,
    copy_sealed,
    creating_sealed,
    damage_of,
    facts_of,
    file_fault,
    files_of,
    read_seal,
    seal,
    seal_text,
    sealing,
    share_of,
)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    (tmp_path / "global_step8").mkdir()
    (tmp_path / "global_step8" / "states.pt").write_bytes(b"12345")
    (tmp_path / "model.safetensors").write_bytes(b"0123456789")
    (tmp_path / "config.json").write_text("{}")
    files = {name: facts_of(tmp_path / name) for name in files_of(tmp_path)}
    (tmp_path / COMPLETE).write_text(seal_text(8, files))
    return tmp_path


def test_the_seal_names_every_file_with_size_and_sha256(checkpoint: Path) -> None:
    body = json.loads((checkpoint / COMPLETE).read_text())
    assert body["step"] == 8
    assert body["files"] == {
        "config.json": [2, hashlib.sha256(b"{}").hexdigest()],
        "global_step8/states.pt": [5, hashlib.sha256(b"12345").hexdigest()],
        "model.safetensors": [10, hashlib.sha256(b"0123456789").hexdigest()],
    }


def test_a_checkpoint_as_it_was_saved_has_no_damage(checkpoint: Path) -> None:
    assert damage_of(checkpoint) == []


def test_a_flipped_byte_is_named(checkpoint: Path) -> None:
    (checkpoint / "global_step8" / "states.pt").write_bytes(b"12355")
    assert damage_of(checkpoint) == ["global_step8/states.pt has other bytes than were saved"]


def test_a_cut_file_is_named_with_both_sizes(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").write_bytes(b"01234")
    assert damage_of(checkpoint) == ["model.safetensors has 5 bytes instead of 10"]


def test_a_missing_file_is_named(checkpoint: Path) -> None:
    (checkpoint / "config.json").unlink()
    assert damage_of(checkpoint) == ["config.json is missing"]


def test_only_files_with_the_endings_are_read(checkpoint: Path) -> None:
    (checkpoint / "global_step8" / "states.pt").unlink()
    assert damage_of(checkpoint, (".safetensors", ".json")) == []


def test_a_change_of_the_seal_itself_is_told(checkpoint: Path) -> None:
    text = (checkpoint / COMPLETE).read_text()
    (checkpoint / COMPLETE).write_text(text.replace('"step": 8', '"step": 9'))
    assert damage_of(checkpoint) == [f"{COMPLETE} is damaged (its own hash differs)"]


def test_the_seal_of_an_earlier_version_names_no_files(checkpoint: Path) -> None:
    (checkpoint / COMPLETE).write_text("8\n")
    (checkpoint / "config.json").unlink()
    assert read_seal(checkpoint) is None
    assert damage_of(checkpoint) == []


def test_the_ranks_shares_are_all_files_once(checkpoint: Path) -> None:
    names = files_of(checkpoint)
    assert names == ["model.safetensors", "global_step8/states.pt", "config.json"]  # the largest first
    assert [list(share_of(names, rank, 2)) for rank in (0, 1)] == [
        ["model.safetensors", "config.json"],
        ["global_step8/states.pt"],
    ]


def test_the_seal_of_a_checkpoint_keeps_its_bytes() -> None:
    """Folders of earlier releases carry this text; a later one must still write and read the same."""
    own = hashlib.sha256(b'{"files": {"a": [2, "ff"], "b": [1, "ee"]}, "step": 8}').hexdigest()
    text = seal_text(8, {"b": (1, "ee"), "a": (2, "ff")})
    lines = ['"step": 8,', '"files": {', '"a": [', "2,", '"ff"', "],", '"b": [', "1,", '"ee"', "]", "},"]
    depth = [1, 1, 2, 3, 3, 2, 2, 3, 3, 2, 1]
    body = "\n".join(" " * indent + line for indent, line in zip(depth, lines, strict=True))
    assert text == f'{{\n{body}\n "sha256": "{own}"\n}}\n'


def test_the_seal_of_another_folder_has_no_step(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(b"12345")
    seal(tmp_path)
    body = json.loads((tmp_path / COMPLETE).read_text())
    assert (sorted(body), body["files"]) == (
        ["files", "sha256"],
        {"rows": [5, hashlib.sha256(b"12345").hexdigest()]},
    )
    assert damage_of(tmp_path) == []


@pytest.mark.parametrize("body", [{}, {"files": []}, {"files": {"rows": 7}}], ids=str)
def test_a_seal_with_a_sound_hash_that_names_no_files_is_damaged(body: dict[str, object], tmp_path: Path) -> None:
    own = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    (tmp_path / COMPLETE).write_text(json.dumps({**body, "sha256": own}))
    assert damage_of(tmp_path) == ["COMPLETE is damaged (it names no files with size and hash)"]


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "a/../../b"])
def test_a_seal_that_names_a_file_outside_its_folder_is_damaged(checkpoint: Path, name: str) -> None:
    (checkpoint / COMPLETE).write_text(seal_text(8, {name: (1, "0")}))
    assert damage_of(checkpoint) == [f"COMPLETE is damaged (it names {name}, which is outside the folder)"]


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    with sealing(path) as temporary:
        temporary.write_text("{}\n")
    return path


def test_the_seal_of_a_file_is_a_line_of_sha256sum(sealed: Path) -> None:
    digest = hashlib.sha256(b"{}\n").hexdigest()
    assert sealed.with_suffix(".sha256").read_text() == f"{digest}  rows.jsonl\n"
    assert file_fault(sealed) is None


def test_a_fault_while_a_file_is_written_leaves_the_old_one_and_its_seal(sealed: Path) -> None:
    def fail() -> None:
        with sealing(sealed) as temporary:
            temporary.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (sealed.read_text(), file_fault(sealed)) == ("{}\n", None)


def test_a_copy_has_its_seal_and_writes_through_no_link(sealed: Path, tmp_path: Path) -> None:
    outside, target = tmp_path / "outside", tmp_path / "copies" / "rows.jsonl"
    outside.write_text("untouched")
    target.parent.mkdir()
    target.symlink_to(outside)
    copy_sealed(sealed, target)
    assert (target.read_text(), file_fault(target), outside.read_text()) == ("{}\n", None, "untouched")


def test_a_new_sealed_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with creating_sealed(path) as temporary:
        temporary.write_text("first")
    assert file_fault(path) is None
    with pytest.raises(FileExistsError), creating_sealed(path) as temporary:
        temporary.write_text("second")
    assert (path.read_text(), file_fault(path)) == ("first", None)
