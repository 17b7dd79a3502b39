"""What a hook is: something that happens at the steps of training, at its place among the others.

The order is one list for all, because hooks lean on it: no sweep begins in a step that is asked to be the last, a run
ends early only after the sweep that decides, and what is saved is marked as complete by the one that knows what is
kept. Every rank calls the hooks in the same order, as collectives in them need.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, ClassVar

from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers import TrainingArguments as Args


class Order(IntEnum):
    """The places of hooks, first to last; within an event (a step's end, a save) they are called in this order."""

    GUARD = 1
    """before all that may end the training, so that its state is in every checkpoint"""
    PREEMPTION = 2
    """before sweeps: none begins in a step after which the run stops"""
    SWEEP = 3
    EARLY_STOP = 4
    """after sweeps, which decide"""
    ON_POLICY = 5
    """after all that may end the training: nothing is thought for a step that does not come"""
    CHECKPOINT = 6
    """after all that may ask for a save"""
    METRICS = 7
    """after all that may end the training or ask for a save, which is logged too"""
    PROGRESS = 8
    """after the metrics, which it shows"""
    REPORT = 9
    """after the sweeps, which it passes on"""
    UNIVERSAL = 10
    """once, after a resume with another number of ranks"""


class Hook(TrainerCallback):
    """A callback with a place; `name`, where there is one, is under which a checkpoint keeps its state."""

    order: ClassVar[Order]
    name: ClassVar[str] = ""

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of this hook, JSON-safe."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Resumes from `state`; {} at a fresh start."""

    def on_train_begin(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.name:
            self.restore(_kept(state).get(self.name, {}))

    def on_step_end(self, args: Args, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.name:
            _kept(state)[self.name] = self.state()


def _kept(state: TrainerState) -> dict[str, Any]:
    """What the Trainer writes into each checkpoint and reads again; a dictionary, whatever its annotation says."""
    kept: dict[str, Any] = state.stateful_callbacks  # type: ignore[assignment]
    return kept


def in_order(hooks: Iterable[Hook]) -> list[Hook]:
    """The hooks as they are to be called. ValueError where two have one place."""
    ordered = sorted(hooks, key=lambda hook: hook.order)
    if len({hook.order for hook in ordered}) < len(ordered):
        raise ValueError(f"two hooks have one place: {[type(hook).__name__ for hook in ordered]}")
    return ordered
