"""The trainer of a run against TRL's own: the same losses, gradients and counts, whatever the accumulation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from trl import SFTConfig, SFTTrainer

from data_prep.commands.nano import FORMAT
from data_prep.models import load_model, load_tokenizer
from data_prep.prepared.prepare import Prepared, prepare
from data_prep.tokens.prompts import think_format
from recipes.data import DataSection
from recipes.guard import GuardSection
from recipes.schema import LoraAdapter, ModelSection
from runtime.ranks import ALONE
from runtime.run_folder import RunFolder
from tests.train.runs import MODEL
from train.feed import examples
from train.guard import Guard
from train.loss.base import labelled_positions
from train.loss.choose import NegativeLogLikelihoodOfRun
from train.loss.fused import FusedLoss
from train.loss.tiled import TiledLoss
from train.model import peft_config
from train.trainer import RecoveryTrainer

SECTION = ModelSection(unpruned=str(MODEL), pruned=str(MODEL), dtype="float32")
KEYS = ("loss", "grad_norm", "num_tokens")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    section = DataSection.model_validate(
        {
            "traces": {"source": "nano", "size": 24},
            "max_length_tokens": 256,
            "cache_dir": tmp_path_factory.mktemp("cache"),
        }
    )
    tokenizer = load_tokenizer(str(MODEL), SECTION)
    return prepare(section, tokenizer, think_format(FORMAT, tokenizer))


def trained(
    kind: type[SFTTrainer], prepared: Prepared, folder: Path, adapter: Any = None, loss: Any = None, **more: Any
) -> SFTTrainer:
    """Three steps from the same weights in the same order, logged one by one."""
    torch.set_num_threads(1)
    settings = {"per_device_train_batch_size": 4, "max_steps": 3, "learning_rate": 1e-3, "logging_steps": 1, **more}
    arguments = SFTConfig(
        output_dir=str(folder),
        report_to="none",
        use_cpu=True,
        bf16=False,
        max_length=256,
        save_strategy="no",
        gradient_checkpointing=False,
        disable_tqdm=True,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        **settings,
    )
    singles = [[row] for row in range(len(prepared.rows))]
    own: dict[str, Any] = {}
    if kind is RecoveryTrainer:
        guard = Guard(GuardSection(), prepared.rows, RunFolder(folder), ALONE)
        own = {"loss": loss or NegativeLogLikelihoodOfRun(), "guard": guard}
    trainer = kind(
        model=load_model(str(MODEL), SECTION),
        args=arguments,
        train_dataset=examples(singles, prepared.rows),
        processing_class=load_tokenizer(str(MODEL), SECTION),
        peft_config=adapter,
        **own,
    )
    trainer.train()
    return trainer


def logged(trainer: SFTTrainer, *keys: str) -> list[float]:
    return [row[key] for row in trainer.state.log_history if "loss" in row for key in keys]


@pytest.mark.parametrize(("loss", "shown"), [(2.5, 2.5), (float("nan"), 3.0), (float("inf"), 3.0)])
def test_the_log_takes_the_usual_loss_for_one_that_is_not_finite(loss: float, shown: float) -> None:
    """6 summed in one step since the last row, and this one: as transformers reckons."""
    state = SimpleNamespace(global_step=4)
    trainer = SimpleNamespace(filters_losses=True, _tr_loss=torch.tensor(6.0), _globalstep_last_logged=3, state=state)
    assert float(RecoveryTrainer._shown(trainer, torch.tensor(loss))) == shown  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "more"),
    [("none", {}), ("none", {"gradient_accumulation_steps": 2}), ("lora", {"gradient_accumulation_steps": 2})],
)
def test_losses_gradients_and_counts_are_those_of_trl(
    method: str, more: dict[str, Any], prepared: Prepared, tmp_path: Path
) -> None:
    adapter = peft_config(LoraAdapter(method="lora")) if method == "lora" else None
    plain = {"optim": "sgd", **more}  # Adam makes of a gradient near 0 a whole step in the direction of its rounding
    ours, theirs = (trained(kind, prepared, tmp_path, adapter, **plain) for kind in (RecoveryTrainer, SFTTrainer))
    assert isinstance(ours.loss, TiledLoss)
    assert logged(ours, *KEYS) == pytest.approx(logged(theirs, *KEYS), rel=1e-5)


@pytest.mark.slow
def test_accuracy_is_that_of_trl_where_it_counts_the_same_tokens(prepared: Prepared, tmp_path: Path) -> None:
    ours, theirs = (trained(kind, prepared, tmp_path) for kind in (RecoveryTrainer, SFTTrainer))
    assert logged(ours, "mean_token_accuracy") == pytest.approx(logged(theirs, "mean_token_accuracy"), rel=1e-6)


@pytest.mark.slow
def test_other_losses_are_left_to_trl(prepared: Prepared, tmp_path: Path) -> None:
    ours, theirs = (trained(kind, prepared, tmp_path, loss_type="dft") for kind in (RecoveryTrainer, SFTTrainer))
    assert (ours.loss, logged(ours, *KEYS)) == (None, logged(theirs, *KEYS))


class OnKernels(NegativeLogLikelihoodOfRun):
    """The loss that a GPU takes, here in torch."""

    def for_model(self, model: Any, device: torch.device) -> Any:
        return FusedLoss()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["none", "lora"])
def test_on_kernels_losses_gradients_and_metrics_are_those_of_trl(
    method: str, prepared: Prepared, tmp_path: Path
) -> None:
    adapter = peft_config(LoraAdapter(method="lora")) if method == "lora" else None
    ours = trained(RecoveryTrainer, prepared, tmp_path, adapter, OnKernels(), optim="sgd")
    theirs = trained(SFTTrainer, prepared, tmp_path, adapter, optim="sgd")
    keys = (*KEYS, "mean_token_accuracy", "entropy")
    assert logged(ours, *keys) == pytest.approx(logged(theirs, *keys), rel=1e-5)


class Towards:
    """A loss with a second model: the squared distance of hidden states to those of a frozen one."""

    columns: Mapping[str, Any] = {}

    def __init__(self) -> None:
        self.other = load_model(str(MODEL), SECTION).requires_grad_(False)
        del self.other.model.layers[4:]

    def facts(self) -> dict[str, Any]:
        return {"name": "towards"}

    def for_model(self, model: Any, device: torch.device) -> Any:
        self.other.to(device)  # type: ignore[arg-type]

        def loss(model: Any, batch: dict[str, Any]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
            hidden, targets = labelled_positions(model, batch)
            wanted, _ = labelled_positions(self.other, batch)
            distance = (hidden - wanted).square().mean(-1).sum()
            return distance, {"labelled": torch.tensor(len(targets)), "distance": distance.detach()}

        return loss


@pytest.mark.slow
def test_a_loss_may_have_a_second_model_and_metrics_of_its_own(prepared: Prepared, tmp_path: Path) -> None:
    towards = Towards()
    before = {name: tensor.clone() for name, tensor in towards.other.state_dict().items()}
    trainer = trained(RecoveryTrainer, prepared, tmp_path, None, towards)
    losses, distances = logged(trainer, "loss"), logged(trainer, "distance")
    assert losses == pytest.approx(distances, rel=1e-3) and losses[-1] < losses[0]
    assert all(torch.equal(tensor.cpu(), before[name]) for name, tensor in towards.other.state_dict().items())
