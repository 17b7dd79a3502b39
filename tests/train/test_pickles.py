"""What may be unpickled: our own checkpoints, and nothing that could run code."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from deepspeed.runtime.fp16.loss_scaler import LossScaler
from deepspeed.runtime.zero.config import ZeroStageEnum
from deepspeed.utils.tensor_fragment import fragment_address

from recipes.errors import UserError
from runtime.ranks import ALONE
from runtime.run_folder import RunFolder
from tests.runtime.threads import together
from train.checkpoints import complete
from train.pickles import check_trusted, pickle_fault


class Harm:
    """Leaves a file where it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """What Trainer and DeepSpeed pickle, complete, of the run `mine`."""
    folder = RunFolder(tmp_path / "run")
    folder.add_facts({"id": "mine"})
    checkpoint = folder.checkpoint(8)
    (checkpoint / "global_step8").mkdir(parents=True)
    states = {
        "exp_avg": torch.ones(4),
        "zero_stage": ZeroStageEnum.gradients,
        "loss_scaler": LossScaler(1.0),
        "mapping": fragment_address(numel=4, start=0),
    }
    torch.save(states, checkpoint / "global_step8" / "zero_optim_states.pt")
    torch.save({"numpy": np.random.RandomState(0).get_state(), "cpu": torch.get_rng_state()}, checkpoint / "rng.pth")
    torch.save(Harm(tmp_path / "never"), checkpoint / "training_args.bin")  # nobody loads it
    complete(checkpoint, 8, ALONE)
    return checkpoint


def refusal(checkpoint: Path, run_id: str | None = "mine") -> str:
    with pytest.raises(UserError) as caught:
        check_trusted(checkpoint, run_id, None, ALONE)
    return str(caught.value)


def test_what_a_run_has_written_itself_is_loaded(checkpoint: Path) -> None:
    assert together(lambda ranks: check_trusted(checkpoint, "mine", None, ranks)) == [None, None]


def test_a_pickle_that_runs_code_is_refused_on_every_rank_and_never_run(checkpoint: Path, tmp_path: Path) -> None:
    torch.save({"state": Harm(tmp_path / "harm")}, checkpoint / "global_step8" / "zero_optim_states.pt")
    complete(checkpoint, 8, ALONE)  # sealed anew, as a stranger can
    refusals = together(lambda ranks: check_trusted(checkpoint, "mine", None, ranks))
    assert all(isinstance(each, UserError) for each in refusals)
    assert "zero_optim_states.pt could run code when it is loaded (" in str(refusals[0])
    assert "posix.mkdir" in str(refusals[0]) and f"run.trust_checkpoint={checkpoint}" in str(refusals[0])
    assert not (tmp_path / "harm").exists()


def test_a_checkpoint_of_another_run_is_refused(checkpoint: Path) -> None:
    assert "was written by another run (mine; the run.json next to it is of other);" in refusal(checkpoint, "other")


def test_a_checkpoint_of_an_earlier_version_names_no_run_and_is_read_as_carefully(checkpoint: Path) -> None:
    (checkpoint / "COMPLETE").write_text("8")
    check_trusted(checkpoint, "mine", None, ALONE)


def test_a_pickle_that_was_put_there_later_is_refused(checkpoint: Path) -> None:
    torch.save({}, checkpoint / "optimizer.pt")
    assert "optimizer.pt is not in its COMPLETE, so it was added later; remove it" in refusal(checkpoint)


@pytest.mark.parametrize("text", ["../../elsewhere", "/elsewhere", ".."])
def test_a_pointer_out_of_the_checkpoint_is_refused(checkpoint: Path, text: str) -> None:
    (checkpoint / "latest").write_text(text)
    assert "latest names no folder inside it, where nothing is checked" in refusal(checkpoint)


def test_a_link_to_a_folder_elsewhere_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "global_step9").symlink_to(tmp_path)
    assert "global_step9 is a link to a folder, where nothing is checked" in refusal(checkpoint)


def test_the_one_that_the_recipe_names_is_trusted_and_no_other(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check_trusted(checkpoint, "other", checkpoint.parent / "." / "checkpoint-8", ALONE)
    assert capsys.readouterr().out == f"resume {checkpoint}: trusted by run.trust_checkpoint\n"
    with pytest.raises(UserError, match="written by another run"):
        check_trusted(checkpoint, "other", checkpoint.parent / "checkpoint-9", ALONE)


def bare_pickle(path: Path, mark: Path) -> None:
    path.write_bytes(pickle.dumps(Harm(mark)))


def forged_archive(path: Path, mark: Path) -> None:
    """An archive of torch's whose pickle is of a newer protocol, which names what it calls in another way."""
    torch.save({}, path)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, pickle.dumps(Harm(mark), 5) if name.endswith("data.pkl") else content)


def nothing(path: Path, mark: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("write", [bare_pickle, forged_archive, nothing])
def test_other_ways_to_write_a_pickle_are_no_way_in(write: Callable[[Path, Path], None], tmp_path: Path) -> None:
    write(tmp_path / "states.pt", tmp_path / "harm")
    assert pickle_fault(tmp_path / "states.pt") is not None
    assert not (tmp_path / "harm").exists()
