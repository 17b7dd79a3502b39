"""After a resume with another number of ranks: repairs what DeepSpeed loads wrongly, and removes the copy."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerControl, TrainerState
from transformers import TrainingArguments as Args

from train.elastic import LATEST
from train.hooks.hook import Hook, Order


def reads_universal(checkpoint: Path | None) -> bool:
    """Whether any number of ranks can read the checkpoint (`train.elastic`)."""
    return checkpoint is not None and (checkpoint / LATEST).is_file()


class UniversalHook(Hook):
    """Repairs the optimizer that DeepSpeed 0.19 loads at stage 3, and removes the copy once every rank has read it.

    At stage 3 all parameter groups get the settings of the first and share its step counter, which then counts each
    step once per group.
    """

    order = Order.UNIVERSAL

    def __init__(self, trainer: Any, checkpoint: Path) -> None:
        self.trainer, self.checkpoint = trainer, checkpoint
        config = trainer.accelerator.state.deepspeed_plugin.deepspeed_config
        config["checkpoint"] = {**config.get("checkpoint", {}), "load_universal": True}

    def on_train_begin(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        optimizer = self.trainer.model_wrapped.optimizer.optimizer
        for of_parameter in optimizer.state.values():
            if "step" in of_parameter:
                of_parameter["step"] = of_parameter["step"].clone()
        for group, saved in zip(optimizer.param_groups, self._groups(), strict=False):
            group.update({name: value for name, value in saved.items() if name != "params"})

    def _groups(self) -> list[dict[str, Any]]:
        """The saved settings of every group; empty at stages 1 and 2, which DeepSpeed loads correctly."""
        (file,) = self.checkpoint.glob("global_step*/zero/optimizer_state.pt")
        saved = torch.load(file, map_location="cpu", weights_only=False)  # DeepSpeed wrote it a moment ago
        groups: list[dict[str, Any]] = saved.get("optimizer_state_dict", {}).get("param_groups", [])
        return groups

    def on_step_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.is_world_process_zero and self.checkpoint.exists():  # a finished step has synchronised all ranks
            shutil.rmtree(self.checkpoint.parent)
