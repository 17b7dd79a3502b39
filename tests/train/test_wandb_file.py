"""What is read back of the file of an offline run that was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from train.wandb_file import last_steps, newest_start, starts, steps_in


def test_the_last_step_of_each_kind() -> None:
    history = [
        {"_step": 0, "reference/unpruned/chain/level": 1.0},
        {"_step": 1, "train/global_step": 2, "train/loss": 0.5},
        {"_step": 2, "recovery/step": 4, "recovery/level": 0.5},
        {"_step": 3, "train/global_step": 4},
    ]
    assert last_steps(history) == {"reference/unpruned": 0, "train": 4, "sweep": 4}


def test_the_newest_start_may_be_online(tmp_path: Path) -> None:
    for name in ("offline-run-20260101_000000-me", "run-20260102_000000-me", "offline-run-20260103_000000-other"):
        (tmp_path / name).mkdir()
    (tmp_path / "latest-run").symlink_to(tmp_path / "run-20260102_000000-me")
    newest = newest_start(tmp_path, "me")
    assert newest is not None and newest.name == "run-20260102_000000-me"


def test_two_starts_of_one_second_are_told_apart(tmp_path: Path) -> None:
    names = ["offline-run-20260101_000000-me", "offline-run-20260101_000000-me-1"]
    for name in reversed(names):
        (tmp_path / name).mkdir()
    assert [start.name for start in starts(tmp_path, "me")] == names


def test_there_is_no_start_before_the_first(tmp_path: Path) -> None:
    assert newest_start(tmp_path, "me") is None


def test_a_folder_without_a_file_has_no_steps(tmp_path: Path) -> None:
    assert steps_in(tmp_path) == {}


@pytest.mark.slow
def test_a_file_that_wandb_cannot_read_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "run-me.wandb").write_bytes(b"no file of W&B's")
    assert steps_in(tmp_path) is None
