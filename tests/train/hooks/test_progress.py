"""The progress bar shows the loss and prints no line for each logged step."""

from __future__ import annotations

from transformers import TrainerControl, TrainerState, TrainingArguments

from train.hooks.progress import ProgressHook


class Bar:
    said = ""

    def set_postfix_str(self, text: str) -> None:
        self.said = text


def test_the_loss_stands_beside_the_bar() -> None:
    hook, bar = ProgressHook(), Bar()
    hook.training_bar = bar
    hook.on_log(TrainingArguments(), TrainerState(), TrainerControl(), {"loss": 1.23456})
    assert bar.said == "loss 1.2346"


def test_logs_without_a_loss_change_nothing() -> None:
    hook, bar = ProgressHook(), Bar()
    hook.training_bar = bar
    hook.on_log(TrainingArguments(), TrainerState(), TrainerControl(), {"train_runtime": 5.0})
    assert bar.said == ""
