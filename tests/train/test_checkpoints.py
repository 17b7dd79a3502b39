"""Checkpoints: which is the best, which are sealed, and what is said of a full disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from recipes.errors import UserError
from recipes.guard import SweepMetric
from runtime.files import Row, write_rows
from runtime.ranks import ALONE
from runtime.run_folder import RunFolder
from runtime.seal import COMPLETE
from tests.runtime.threads import together
from train.checkpoints import (
    Kept,
    best_step,
    check_whole,
    complete,
    metric_values,
    no_room,
    selection_note,
    verify,
)
from train.exits import Stopped

GAIN = SweepMetric("chain", "gain")


def gains(values: dict[int, float | None]) -> list[Row]:
    return [
        {"step": step, "model": "run", "suite": "chain", "budget": None, "gain_per_doubling": value}
        for step, value in values.items()
    ]


def test_a_metric_is_read_from_the_row_that_has_it() -> None:
    rows = [
        {"step": 2, "model": "run", "suite": "chain", "budget": 32, "accuracy": 0.4},
        {"step": 2, "model": "run", "suite": "chain", "budget": 16, "accuracy": 0.2},
        {"step": 2, "model": "run", "suite": "chain", "budget": None, "accuracy": 0.9},
        {"step": 0, "model": "pruned", "suite": "chain", "budget": 32, "accuracy": 0.1},
        {"step": 2, "model": "run", "suite": "shallow", "budget": 32, "accuracy": 0.7},
    ]
    assert metric_values(rows, SweepMetric("chain", "accuracy")) == {2: 0.4}
    # rows of earlier versions called another number the level
    older = [*rows, {"step": 2, "model": "run", "suite": "chain", "budget": None, "level": 0.2}]
    assert metric_values(older, SweepMetric("chain", "level")) == {2: 0.4}
    assert metric_values(older, SweepMetric("chain", "base")) == {}


@pytest.mark.parametrize(
    ("values", "steps", "best"),
    [
        ({1: 0.1, 2: 0.3, 3: 0.2}, [1, 2, 3], (2, 0.3)),
        ({1: 0.1, 2: 0.3, 3: 0.3}, [1, 2, 3], (2, 0.3)),  # of equals the earlier
        ({1: 0.1, 2: 0.3}, [1], (1, 0.1)),  # step 2 has no checkpoint
        ({1: None}, [1], None),
        ({}, [1], None),
    ],
)
def test_the_best_step_by_hand(
    values: dict[int, float | None], steps: list[int], best: tuple[int, float] | None
) -> None:
    assert best_step(gains(values), GAIN, steps) == best


def test_the_best_of_several_sweeps_says_that_it_was_chosen(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_rows(folder.sweeps, gains({2: 0.1, 4: 0.5, 6: 0.3}))
    assert selection_note(folder, str(GAIN)).startswith("Best of 3 sweeps by sweep/chain/gain, uncorrected")
    write_rows(folder.sweeps, gains({2: 0.1}))
    assert selection_note(folder, str(GAIN)) == ""


def test_the_best_is_among_the_complete_checkpoints(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_rows(folder.sweeps, gains({2: 0.1, 4: 0.5}))
    folder.checkpoint(2).mkdir()
    (folder.checkpoint(2) / COMPLETE).touch()
    folder.checkpoint(4).mkdir()
    assert (Kept(None, str(GAIN)).best_of(folder), Kept(None).best_of(folder)) == ((2, 0.1), None)


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
