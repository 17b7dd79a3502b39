"""`python -m eval`: what it keeps, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.__main__ import add_rows, main
from recipes.errors import UserError


def row(step: int, accuracy: float) -> dict[str, object]:
    return {"step": step, "model": "run", "suite": "chain", "budget": 8, "accuracy": accuracy}


def test_rows_of_other_steps_stay(tmp_path: Path) -> None:
    for added in (row(10, 0.1), row(20, 0.2), row(10, 0.3)):
        add_rows(tmp_path / "sweeps.jsonl", [added])
    lines = (tmp_path / "sweeps.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [row(10, 0.3), row(20, 0.2)]
    assert [path.name for path in tmp_path.iterdir()] == ["sweeps.jsonl"]


def test_models_of_one_name_would_share_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a/export,b/export: .* export, export are not different"):
        main(["recipe=lora_recovery.yaml", "model=a/export,b/export", f"out={tmp_path}"])


@pytest.mark.parametrize("step", ["-1", "ten", "1.5"])
def test_a_step_is_a_whole_number(step: str) -> None:
    with pytest.raises(UserError, match="must be a whole number"):
        main(["recipe=lora_recovery.yaml", "model=a", f"step={step}"])
