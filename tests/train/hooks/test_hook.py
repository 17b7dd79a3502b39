"""The order of hooks, and what a checkpoint keeps of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from runtime.ranks import ALONE
from train.hooks.hook import Hook, Order, in_order
from train.hooks.preemption import PreemptionHook

ORDER = [
    "GuardHook",
    "PreemptionHook",
    "SweepHook",
    "EarlyStopHook",
    "OnPolicyHook",
    "CheckpointHook",
    "MetricsHook",
    "ProgressHook",
    "ReportHook",
    "UniversalHook",
]


def test_every_place_has_one_hook() -> None:
    ours = [kind for kind in Hook.__subclasses__() if kind.__module__.startswith("train.")]
    kinds = {kind.order: kind.__name__ for kind in ours}
    assert [kinds[order] for order in Order] == ORDER


def test_two_hooks_in_one_place_are_refused() -> None:
    with pytest.raises(ValueError, match="two hooks have the same place"):
        in_order([PreemptionHook(ALONE), PreemptionHook(ALONE)])


class Counting(Hook):
    """Counts steps, across resumes."""

    order = Order.METRICS
    name = "counting"
    steps = 0

    def state(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def restore(self, state: dict[str, Any]) -> None:
        self.steps = state.get("steps", 0)

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.steps += 1
        super().on_step_end(args, state, control, **kwargs)


def test_a_resumed_run_has_the_state_of_its_hooks(tmp_path: Path) -> None:
    arguments, state, control = TrainingArguments(), TrainerState(stateful_callbacks=[]), TrainerControl()
    state.stateful_callbacks = {}
    first = Counting()
    first.on_train_begin(arguments, state, control)
    for _ in range(3):
        first.on_step_end(arguments, state, control)
    state.save_to_json(str(tmp_path / "trainer_state.json"))
    resumed = Counting()
    resumed.on_train_begin(arguments, TrainerState.load_from_json(str(tmp_path / "trainer_state.json")), control)
    assert resumed.steps == 3
