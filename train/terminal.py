"""What the terminal shows: our own lines, a progress bar, and warnings of the libraries; not their chatter."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import datasets
import transformers
from transformers import ProgressCallback, TrainerControl, TrainerState, TrainingArguments


def calm_libraries(rank: int) -> None:
    """Warnings on rank 0, errors elsewhere; no progress bars but our own, and no deprecations between libraries."""
    level = logging.WARNING if rank == 0 else logging.ERROR
    transformers.logging.set_verbosity(level)
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    for name in ("DeepSpeed", "deepspeed", "accelerate", "torch.distributed"):
        logging.getLogger(name).setLevel(level)
    libraries = r"(accelerate|deepspeed|peft|torch|transformers|trl)\b"
    warnings.filterwarnings("ignore", category=FutureWarning, module=libraries)
    if rank != 0:
        warnings.simplefilter("ignore")


class BarCallback(ProgressCallback):
    """The Trainer's progress bar with the loss beside it, in place of a line a logging step."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if self.training_bar is not None and logs and "loss" in logs:
            self.training_bar.set_postfix_str(f"loss {float(logs['loss']):.4f}")
