"""The progress bar in the terminal."""

from __future__ import annotations

from typing import Any

from transformers import ProgressCallback, TrainerControl, TrainerState
from transformers import TrainingArguments as Args

from train.hooks.hook import Hook, Order


class ProgressHook(ProgressCallback, Hook):
    """The Trainer's bar with loss and speed beside it, in place of one line for each logged step."""

    order = Order.PROGRESS

    def on_log(
        self,
        args: Args,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if self.training_bar is not None and logs and "loss" in logs:
            speed = logs.get("tokens_per_second")
            said = "" if speed is None else f", {speed:,.0f} tokens/s"
            self.training_bar.set_postfix_str(f"loss {float(logs['loss']):.4f}{said}")
