"""What a run folder forgets where a run goes back, and what it reads of records of earlier versions."""

from __future__ import annotations

from pathlib import Path

from tests.train.runs import rows
from train.run_record import RunFolder


def test_what_was_noted_of_steps_that_are_done_again_is_forgotten(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.add_facts({"skipped_steps": [3, 6], "early_stop": {"step": 8, "reason": ""}, "best": {"step": 4}})
    folder.put_rows("skipped.jsonl", [{"step": 3}, {"step": 6}], ("step",))
    folder.forget_after(4)
    assert folder.facts() == {"skipped_steps": [3], "early_stop": None, "best": {"step": 4}}
    assert rows(tmp_path / "skipped.jsonl") == [{"step": 3}]


def test_keys_that_earlier_versions_recorded_are_read_over(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.add_facts({"recipe": {"seed": 1, "sweep": {"verdict": {"margin": 0.05, "resamples": 10_000}}}})
    assert folder.facts() == {"recipe": {"seed": 1, "sweep": {"verdict": {"margin": 0.05}}}}
