"""The progress bar shows the loss and prints no line for each logged step."""

from __future__ import annotations

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from train.hooks.progress import ProgressHook


class Bar:
    said = ""

    def set_postfix_str(self, text: str) -> None:
        self.said = text


@pytest.mark.parametrize(
    ("logs", "said"),
    [({"loss": 1.23456}, "loss 1.2346"), ({"loss": 1.0, "tokens_per_second": 12345.6}, "loss 1.0000, 12,346 tokens/s")],
)
def test_loss_and_speed_stand_beside_the_bar(logs: dict[str, float], said: str) -> None:
    hook, bar = ProgressHook(), Bar()
    hook.training_bar = bar
    hook.on_log(TrainingArguments(), TrainerState(), TrainerControl(), logs)
    assert bar.said == said


def test_logs_without_a_loss_change_nothing() -> None:
    hook, bar = ProgressHook(), Bar()
    hook.training_bar = bar
    hook.on_log(TrainingArguments(), TrainerState(), TrainerControl(), {"train_runtime": 5.0})
    assert bar.said == ""
