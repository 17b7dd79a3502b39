"""Hooks: actions at training steps, called in a fixed order.

One list defines the order, because hooks depend on it: no sweep begins in a step after which the run is to stop, a run
ends early only after the deciding sweep, and checkpoints are marked as complete by the hook that knows which are kept.
Every rank calls the hooks in the same order, as their collectives require.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, ClassVar

from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers import TrainingArguments as Args


class Order(IntEnum):
    """The order of hooks; within an event (end of a step, save) they are called in this order."""

    GUARD = 1
    """before all hooks that may end training, so that its state is in every checkpoint"""
    PREEMPTION = 2
    """before sweeps: none begins in a step after which the run stops"""
    SWEEP = 3
    EARLY_STOP = 4
    """after sweeps, which it decides by"""
    ON_POLICY = 5
    """after all hooks that may end training: no thoughts are generated for a step that will not run"""
    CHECKPOINT = 6
    """after all hooks that may request a save"""
    METRICS = 7
    """after all hooks that may end training or request a save, since both are logged"""
    PROGRESS = 8
    """after the metrics, which it shows"""
    REPORT = 9
    """after the sweeps, which it reports"""
    UNIVERSAL = 10
    """once, after a resume with another number of ranks"""


class Hook(TrainerCallback):
    """A callback with a place in the order; checkpoints keep its state under `name`, if it has one."""

    order: ClassVar[Order]
    name: ClassVar[str] = ""

    def state(self) -> dict[str, Any]:
        """The state of this hook in a checkpoint, JSON-safe."""
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
    """The states that the Trainer writes into each checkpoint and reads back; a dictionary, despite its annotation."""
    kept: dict[str, Any] = state.stateful_callbacks  # type: ignore[assignment]
    return kept


def in_order(hooks: Iterable[Hook]) -> list[Hook]:
    """The hooks in the order of their calls. ValueError if two have the same place."""
    ordered = sorted(hooks, key=lambda hook: hook.order)
    if len({hook.order for hook in ordered}) < len(ordered):
        raise ValueError(f"two hooks have the same place: {[type(hook).__name__ for hook in ordered]}")
    return ordered
