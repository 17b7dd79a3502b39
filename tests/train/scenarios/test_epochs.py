"""The steps that a run announces from its epochs are those that two ranks really train, to the last one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.train.runs import rows

pytestmark = pytest.mark.slow


def test_two_ranks_with_accumulation_and_epochs_train_the_steps_that_were_announced(lora_zero2: Path) -> None:
    state = json.loads((lora_zero2 / "checkpoint-3" / "trainer_state.json").read_text())
    assert (state["max_steps"], state["global_step"]) == (3, 3)


def test_the_last_step_of_the_last_epoch_is_swept(lora_zero2: Path) -> None:
    assert {row["step"] for row in rows(lora_zero2 / "sweeps.jsonl") if row["model"] == "run"} == {3}
