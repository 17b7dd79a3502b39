"""After a resume with other ranks: what DeepSpeed shares among groups is taken apart, and the copy goes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import TrainerControl, TrainerState, TrainingArguments

from train.hooks.universal import UniversalHook, reads_universal


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    states = tmp_path / ".universal" / "checkpoint-4" / "global_step4" / "zero"
    states.mkdir(parents=True)
    groups = [{"params": [0], "weight_decay": 0.1}, {"params": [1], "weight_decay": 0.0}]
    torch.save({"optimizer_state_dict": {"param_groups": groups}}, states / "optimizer_state.pt")
    checkpoint = tmp_path / ".universal" / "checkpoint-4"
    (checkpoint / "latest_universal").touch()
    return checkpoint


def trainer_with(optimizer: Any) -> Any:
    plugin = SimpleNamespace(deepspeed_config={})
    return SimpleNamespace(
        accelerator=SimpleNamespace(state=SimpleNamespace(deepspeed_plugin=plugin)),
        model_wrapped=SimpleNamespace(optimizer=SimpleNamespace(optimizer=optimizer)),
    )


def test_every_group_gets_its_own_settings_and_counter_back(checkpoint: Path) -> None:
    counter = torch.tensor(4.0)
    optimizer = SimpleNamespace(
        state={"a": {"step": counter}, "b": {"step": counter}},
        param_groups=[{"params": ["a"], "weight_decay": 0.1}, {"params": ["b"], "weight_decay": 0.1}],
    )
    hook = UniversalHook(trainer_with(optimizer), checkpoint)
    hook.on_train_begin(TrainingArguments(), TrainerState(), TrainerControl())
    optimizer.state["a"]["step"] += 1
    assert float(optimizer.state["b"]["step"]) == 4.0
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]


def test_deepspeed_is_told(checkpoint: Path) -> None:
    trainer = trainer_with(None)
    UniversalHook(trainer, checkpoint)
    assert trainer.accelerator.state.deepspeed_plugin.deepspeed_config == {"checkpoint": {"load_universal": True}}


def test_the_copy_goes_after_the_first_step(checkpoint: Path) -> None:
    hook = UniversalHook(trainer_with(None), checkpoint)
    hook.on_step_end(TrainingArguments(), TrainerState(is_world_process_zero=True), TrainerControl())
    assert not checkpoint.parent.exists()


def test_only_a_universal_checkpoint_is_read_so(checkpoint: Path, tmp_path: Path) -> None:
    assert (reads_universal(checkpoint), reads_universal(tmp_path), reads_universal(None)) == (True, False, False)
