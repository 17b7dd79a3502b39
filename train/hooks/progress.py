"""How far training is: a bar on a terminal, one plain line per logging step anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import TrainerControl, TrainerState
from transformers import TrainingArguments as Args

from runtime.progress import WATCHED, Bars, Work, progress
from train.hooks.hook import Hook, Order

SHOWN = {
    "loss": "loss {:.4f}",
    "divergence": "divergence {:.4f}",
    "learning_rate": "learning rate {:.2e}",
    "tokens_per_second": "{:,.0f} tokens/s",
}
"""what of a log is shown, in this order"""


def described(logs: dict[str, Any]) -> str:
    """The numbers of a logging step."""
    return ", ".join(text.format(float(logs[key])) for key, text in SHOWN.items() if logs.get(key) is not None)


class ProgressHook(Hook):
    """Counts the steps of a run of `steps`, while `shown`.

    A line is printed where a bar is not seen: where standard error or output is no terminal, or where the recipe says
    trainer.disable_tqdm=true.
    """

    order = Order.PROGRESS

    def __init__(self, steps: int, wants_bar: bool) -> None:
        self.steps, self.wants_bar = steps, wants_bar
        self.work: Work | None = None

    @contextmanager
    def shown(self, step: int) -> Iterator[None]:
        """Shows the training, from after `step` on."""
        if not self.wants_bar:
            yield
            return
        with progress("training", self.steps, "steps", step) as self.work:
            yield
        self.work = None

    def on_step_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.work is not None:
            self.work.advance(state.global_step - self.work.done)

    def on_log(
        self,
        args: Args,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not state.is_world_process_zero or not logs or "loss" not in logs:
            return
        if self.work is not None:
            self.work.note = described({key: logs.get(key) for key in ("loss", "tokens_per_second")})
        if self.work is None or not isinstance(WATCHED.shown, Bars) or not sys.stdout.isatty():
            print(f"step {state.global_step} of {self.steps}: {described(logs)}", flush=True)
