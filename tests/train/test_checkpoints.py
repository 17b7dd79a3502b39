"""Checkpoints: which is the best, which are sealed, and what is said of a full disk."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import save_file

from recipes.errors import UserError
from recipes.guard import SweepMetric
from recipes.schema import ExportSection
from runtime.files import Row, write_rows
from runtime.ranks import ALONE
from runtime.run_folder import RunFolder
from runtime.seal import COMPLETE
from tests.runtime.threads import together
from train.checkpoints import (
    Kept,
    check_whole,
    complete,
    kept_checkpoint,
    no_room,
    verify,
)
from train.exits import Stopped

GAIN = SweepMetric("chain", "gain")


def gains(values: dict[int, float | None]) -> list[Row]:
    return [
        {"step": step, "model": "run", "suite": "chain", "budget": None, "gain_per_doubling": value}
        for step, value in values.items()
    ]


def test_the_best_is_among_the_complete_checkpoints(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_rows(folder.sweeps, gains({2: 0.1, 4: 0.5}))
    folder.checkpoint(2).mkdir()
    (folder.checkpoint(2) / COMPLETE).touch()
    folder.checkpoint(4).mkdir()
    assert (Kept(None, str(GAIN)).best_of(folder), Kept(None).best_of(folder)) == ((2, 0.1), None)


@pytest.mark.parametrize(
    ("which", "metric", "step"), [("last", None, 6), ("last", str(GAIN), 6), ("best", str(GAIN), 4)]
)
def test_the_kept_checkpoint_is_the_one_that_the_export_names(
    which: Literal["last", "best"], metric: str | None, step: int, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path)
    write_rows(folder.sweeps, gains({2: 0.1, 4: 0.5}))
    for each in (2, 4, 6):
        folder.checkpoint(each).mkdir()
        (folder.checkpoint(each) / COMPLETE).touch()
    assert kept_checkpoint(folder, ExportSection(checkpoint=which), metric) == folder.checkpoint(step)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint of three files, sealed by two ranks."""
    checkpoint = RunFolder(tmp_path).checkpoint(8)
    checkpoint.mkdir()
    save_file({"weight": torch.ones(4)}, checkpoint / "model.safetensors")
    for name in ("a", "b"):
        (checkpoint / name).write_text(name)
    assert together(lambda ranks: complete(checkpoint, 8, ranks)) == [None, None]
    return checkpoint


def test_what_two_ranks_have_sealed_is_sound(checkpoint: Path) -> None:
    assert together(lambda ranks: verify(checkpoint, ranks)) == [None, None]
    check_whole(checkpoint)


def test_a_changed_file_is_refused_on_every_rank(checkpoint: Path) -> None:
    (checkpoint / "b").write_text("c")
    refusals = together(lambda ranks: verify(checkpoint, ranks))
    assert [type(refusal) for refusal in refusals] == [UserError] * 2
    assert "b has other bytes than were saved" in str(refusals[0])


def test_a_weight_that_is_no_number_is_never_sealed(tmp_path: Path) -> None:
    save_file({"good": torch.ones(2), "bad": torch.tensor([1.0, float("nan")])}, tmp_path / "model.safetensors")
    with pytest.raises(Stopped, match="1 tensors hold numbers that are not finite, the first is bad"):
        complete(tmp_path, 8, ALONE)
    assert not (tmp_path / COMPLETE).exists()


def test_a_full_disk_leaves_the_last_complete_checkpoint_and_no_half_one(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for step in (2, 4):
        folder.checkpoint(step).mkdir()
    (folder.checkpoint(2) / COMPLETE).touch()
    said = no_room(folder, "No space left on device")
    assert f"the last complete checkpoint is {folder.checkpoint(2)}, untouched" in said
    assert folder.checkpoints() == [folder.checkpoint(2)]


def test_a_card_of_another_tool_is_not_kept(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint-2"
    checkpoint.mkdir()
    (checkpoint / "README.md").write_text("a card of PEFT")
    complete(checkpoint, 2, ALONE)
    assert [path.name for path in checkpoint.iterdir()] == [COMPLETE]
