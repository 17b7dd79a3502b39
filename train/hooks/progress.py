"""Progress of training: a bar on a terminal, otherwise one plain line per logging step."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from transformers import TrainerControl, TrainerState
from transformers import TrainingArguments as Args

from runtime.progress import Bars, Work, progress, where
from train.hooks.hook import Hook, Order

SHOWN = {
    "loss": "loss {:.4f}",
    "divergence": "divergence {:.4f}",
    "learning_rate": "learning rate {:.2e}",
    "tokens_per_second": "{:,.0f} tokens/s",
}
"""numbers of a log that are shown, in this order"""


def described(logs: dict[str, Any]) -> str:
    """The numbers of a logging step as text."""
    return ", ".join(text.format(float(logs[key])) for key, text in SHOWN.items() if logs.get(key) is not None)


class ProgressHook(Hook):
    """Counts the steps of a run of `steps` while inside `shown`.

    Lines replace the bar if standard error or output is not a terminal, or if the recipe sets
    trainer.disable_tqdm=true. outlook: gives the share of time that sweeps take, from the seconds per step; "" until it
    is known; printed once.
    """

    order = Order.PROGRESS

    def __init__(self, steps: int, wants_bar: bool, outlook: Callable[[float], str]) -> None:
        self.steps, self.wants_bar, self.outlook = steps, wants_bar, outlook
        self.work, self.has_bar, self.has_outlook = Work("training", steps, "steps"), False, False

    @contextmanager
    def shown(self, step: int) -> Iterator[None]:
        """Shows the progress of training after `step`."""
        self.work = Work("training", self.steps, "steps", step)
        if not self.wants_bar or not isinstance(where(), Bars):
            yield
            return
        with progress(self.work.title, self.steps, "steps", step) as self.work:
            self.has_bar = True
            yield
        self.has_bar = False

    def on_step_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.work.done = state.global_step
        if self.has_bar:
            self.work.advance(0)

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
        left = self.work.left(time.monotonic())
        self.work.note = described({key: logs.get(key) for key in ("loss", "tokens_per_second")})
        if not self.has_bar or not sys.stdout.isatty():
            print(f"step {state.global_step} of {self.steps}: {described(logs)}, {left}", flush=True)
        if not self.has_outlook and logs.get("step_seconds") and (said := self.outlook(logs["step_seconds"])):
            self.has_outlook = True
            print(said, flush=True)
