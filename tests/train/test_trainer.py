"""The trainer of a run against TRL's own: the same losses, gradients and counts, whatever the accumulation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from trl import SFTConfig, SFTTrainer

from data_prep.commands.nano import FORMAT
from data_prep.models import load_model, load_tokenizer
from data_prep.prepared.prepare import Prepared, prepare
from data_prep.tokens.prompts import think_format
from recipes.data import DataSection
from recipes.schema import LoraAdapter, ModelSection
from tests.train.runs import MODEL
from train.feed import examples
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


def trained(kind: type[SFTTrainer], prepared: Prepared, folder: Path, adapter: Any = None, **more: Any) -> SFTTrainer:
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
    alone = [[row] for row in range(len(prepared.rows))]
    trainer = kind(
        model=load_model(str(MODEL), SECTION),
        args=arguments,
        train_dataset=examples(alone, prepared.rows),
        processing_class=load_tokenizer(str(MODEL), SECTION),
        peft_config=adapter,
    )
    trainer.train()
    return trainer


def logged(trainer: SFTTrainer, *keys: str) -> list[float]:
    return [row[key] for row in trainer.state.log_history if "loss" in row for key in keys]


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
    assert ours.labelled_loss
    assert logged(ours, *KEYS) == pytest.approx(logged(theirs, *KEYS), rel=1e-5)


@pytest.mark.slow
def test_accuracy_is_that_of_trl_where_it_counts_the_same_tokens(prepared: Prepared, tmp_path: Path) -> None:
    ours, theirs = (trained(kind, prepared, tmp_path) for kind in (RecoveryTrainer, SFTTrainer))
    assert logged(ours, "mean_token_accuracy") == pytest.approx(logged(theirs, "mean_token_accuracy"), rel=1e-6)


@pytest.mark.slow
def test_other_losses_are_left_to_trl(prepared: Prepared, tmp_path: Path) -> None:
    ours, theirs = (trained(kind, prepared, tmp_path, loss_type="dft") for kind in (RecoveryTrainer, SFTTrainer))
    assert (ours.labelled_loss, logged(ours, *KEYS)) == (False, logged(theirs, *KEYS))
