"""The folder of a run: its record and its checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.errors import UserError
from runtime.run_folder import RunFolder, step_of


def test_facts_are_merged(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    assert folder.facts() == {}
    folder.add_facts({"a": 1, "b": 2})
    folder.add_facts({"b": 3})
    assert folder.facts() == {"a": 1, "b": 3}


def test_recipe_keys_of_earlier_versions_are_left_out_of_their_records(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.add_facts(
        {"recipe": {"seed": 1, "sweep": {"verdict": {"delta": 0.05, "margin": 0.05, "resamples": 10_000}}}}
    )
    assert folder.facts() == {"recipe": {"seed": 1, "sweep": {"verdict": {"delta": 0.05}}}}


def test_complete_checkpoints_come_by_their_steps(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for step in (10, 9, 100):
        folder.checkpoint(step).mkdir()
        (folder.checkpoint(step) / "COMPLETE").touch()
    folder.checkpoint(50).mkdir()
    assert [step_of(path) for path in folder.complete_checkpoints()] == [9, 10, 100]


def test_a_folder_of_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="last is not a checkpoint folder"):
        step_of(tmp_path / "last")
