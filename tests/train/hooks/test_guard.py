"""The guard's state is in every checkpoint, under its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerControl, TrainerState, TrainingArguments

from recipes.guard import GuardSection
from runtime.ranks import ALONE
from runtime.run_folder import RunFolder
from train.guard import Guard
from train.hooks.guard import GuardHook


def guard(folder: Path) -> Guard:
    rows: Any = None  # looked at only where a step is bad
    return Guard(GuardSection(window=3), rows, RunFolder(folder), ALONE)


def test_a_resumed_guard_judges_by_the_losses_before(tmp_path: Path) -> None:
    first, resumed = guard(tmp_path), guard(tmp_path)
    first.good.extend([1.0, 2.0])
    first.skipped_steps = [7]
    state, control = TrainerState(global_step=9), TrainerControl()
    state.stateful_callbacks = {}  # type: ignore[assignment] # as the Trainer has it by then
    GuardHook(first).on_step_end(TrainingArguments(), state, control)
    GuardHook(resumed).on_train_begin(TrainingArguments(), state, control)
    assert (list(resumed.good), resumed.skipped_steps) == ([1.0, 2.0], [7])


def test_checkpoints_of_earlier_versions_name_it_so() -> None:
    assert GuardHook.name == "guard"
