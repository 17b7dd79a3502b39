"""Runs that a teacher teaches: equal whatever the stage, the ranks and the packing; resumed to the bit; and stored
distributions in place of the teacher."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from data_prep.commands.teach import main as teach
from recipes.errors import UserError
from recipes.loader import load
from tests.train.cells import DESCENT, TAUGHT, TAUGHT_DESCENTS
from tests.train.conftest import cut_back
from tests.train.global_gradient import distilled_by_hand
from tests.train.runs import rows, run_here, same, small, untimed, weights

pytestmark = pytest.mark.slow
Here = Callable[..., Path]
Cells = Callable[[int, str], Path]
SHORT = ("sweep.every_steps=1000", "export.enabled=false")


def moved(folder: Path) -> dict[str, torch.Tensor]:
    """Weights before the one step minus those after it: with a learning rate of 1 the gradient."""
    before, after = weights(folder / "pruned"), weights(folder / "checkpoint-1")
    return {name: before[name] - after[name] for name in before}


@pytest.fixture(scope="module")
def wanted(full: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    folder = tmp_path_factory.mktemp("by_hand")
    return distilled_by_hand(load(small("distill", folder, folder, "data.traces.size=12")), full / "pruned")


@pytest.mark.parametrize("name", TAUGHT)
def test_two_ranks_and_every_stage_lose_what_one_rank_of_plain_torch_does(name: str, cell_of: Cells) -> None:
    one, two = (
        [row["loss"] for row in rows(cell_of(ranks, each) / "metrics.jsonl")]
        for ranks, each in ((1, "taught0"), (2, name))
    )
    assert two == pytest.approx(one, rel=1e-5)


@pytest.mark.parametrize("name", TAUGHT_DESCENTS)
def test_a_step_moves_by_the_gradient_of_the_plain_formula(
    name: str, cell_of: Cells, wanted: dict[str, torch.Tensor]
) -> None:
    found = moved(cell_of(2, name))
    size = max(float(gradient.abs().max()) for gradient in wanted.values())
    assert max(float((found[key] - wanted[key]).abs().max()) for key in wanted) < 1e-5 * size


def test_without_weight_the_run_is_that_of_the_likelihood_to_the_bit(here: Here, full: Path) -> None:
    plain = here("distill", "loss.weight=0", "loss.nll_weight=1")
    assert untimed(plain / "metrics.jsonl") == untimed(full / "metrics.jsonl")
    assert same(weights(plain / "checkpoint-8"), weights(full / "checkpoint-8"))


@pytest.fixture(scope="module")
def lora_taught(here: Here) -> Path:
    return here("distill", "adapter={method: lora}", "trainer.learning_rate=5e-3", "loss.tokens=entropy", *SHORT)


def test_an_adapter_learns_from_the_teacher(lora_taught: Path) -> None:
    losses = [row["divergence"] for row in rows(lora_taught / "metrics.jsonl")]
    assert losses[-1] < 0.8 * losses[0]


def test_a_run_that_goes_on_gives_the_same_bits(lora_taught: Path, cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (lora_taught / "export").mkdir(exist_ok=True)  # what `cut_back` takes away
    cut_back(lora_taught, folder, 4)
    keys = ("zero.stage=0", "adapter={method: lora}", "trainer.learning_rate=5e-3", "loss.tokens=entropy", *SHORT)
    assert run_here(small("distill", folder, cache, *keys)) == 0
    assert untimed(folder / "metrics.jsonl") == untimed(lora_taught / "metrics.jsonl")
    assert same(weights(folder / "checkpoint-8"), weights(lora_taught / "checkpoint-8"))


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    folder = tmp_path_factory.mktemp("taught")
    keys = small("distill", folder, cache, "zero.stage=0", "data.traces.size=12")
    teach([*keys, f"out={folder / 'logits'}", "k=16"])
    return folder / "logits"


def test_a_step_on_stored_distributions_has_nearly_the_gradient_of_the_teacher(taught: Path, here: Here) -> None:
    keys = (*DESCENT, "trainer.save_steps=1", "trainer.per_device_train_batch_size=12", *SHORT)
    online = moved(here("distill", *keys))
    stored = moved(here("distill", *keys, f"loss.teacher.logits={taught}"))
    one, other = (torch.cat([tensor.flatten() for tensor in each.values()]) for each in (online, stored))
    assert float(torch.cosine_similarity(one, other, dim=0)) > 0.999


def test_stored_distributions_of_another_teacher_stop_a_run_before_anything_is_loaded(
    taught: Path, cache: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree("data_prep/nano_model", other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "rope_theta": 20000.0}))
    keys = ("zero.stage=0", "data.traces.size=12", f"model.unpruned={other}", f"loss.teacher.logits={taught}")
    with pytest.raises(UserError, match="loss.teacher.logits=.*made with another teacher"):
        run_here(small("distill", tmp_path / "run", cache, *keys, "dry_run=true"))
