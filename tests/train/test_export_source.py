"""What is exported of a run, by the run folder's own files; refusals are in tests/train/test_export.py."""

from __future__ import annotations

import json
from pathlib import Path

from recipes.schema import ExportSection
from runtime.run_folder import RunFolder
from train.export_source import figures_of, source_of, tell_plan


def test_the_source_is_the_newest_checkpoint_on_its_pruned_model(lora: Path) -> None:
    source = source_of(RunFolder(lora), ExportSection())
    assert (source.checkpoint, source.pruned) == (lora / "checkpoint-8", lora / "pruned")


def test_the_figures_of_a_last_checkpoint_need_no_note(lora: Path) -> None:
    section = ExportSection()
    assert figures_of(source_of(RunFolder(lora), section), section) == ("", [])


def test_the_plan_is_told_without_paths_and_with_its_fingerprint(tmp_path: Path) -> None:
    plan = {"unpruned": str(tmp_path), "source": "sha256:1", "removed": [1], "details": {"path": str(tmp_path)}}
    (tmp_path / "prune_plan.json").write_text(json.dumps(plan))
    (tmp_path / "out").mkdir()
    tell_plan(tmp_path, tmp_path / "out")
    told = json.loads((tmp_path / "out" / "prune_plan.json").read_text())
    assert told == {"unpruned": "(local)", "source": "sha256:1", "removed": [1], "details": {"path": "(local)"}}


def test_the_cuts_of_a_plan_are_told_without_paths(tmp_path: Path) -> None:
    request = {"request": {"prune": {"method": "tail", "cut_from": "runs/first/export"}}}
    cut = {"method": "tail", "removed": [1], "source": "sha256:2", "details": request}
    plan = {"unpruned": "", "removed": [1], "details": request, "cuts": [cut]}
    (tmp_path / "prune_plan.json").write_text(json.dumps(plan))
    (tmp_path / "out").mkdir()
    tell_plan(tmp_path, tmp_path / "out")
    told = json.loads((tmp_path / "out" / "prune_plan.json").read_text())
    local = {"request": {"prune": {"method": "tail", "cut_from": "(local)"}}}
    assert (told["details"], told["cuts"]) == (local, [{**cut, "details": local}])


def test_without_a_plan_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    tell_plan(tmp_path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
