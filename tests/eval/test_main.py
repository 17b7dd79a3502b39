"""`python -m eval`: what it keeps, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eval.__main__ import folder_of, main, suite_table
from recipes.errors import UserError
from runtime.files import read_rows

SUITE = "{source: nano, name: chain, family: chain, size: 3}"
SMALL = ["recipe=lora_recovery.yaml", "model=data_prep/nano_model", f"sweep.suites=[{SUITE}]"]


def test_rows_of_other_steps_stay_and_those_of_the_step_are_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for step, budgets in ((10, "[4,8]"), (20, "[4]"), (20, "[4]")):
        main([*SMALL, f"sweep.budgets={budgets}", f"step={step}", f"out={tmp_path}"])
    rows = read_rows(tmp_path / "nano_model" / "sweeps.jsonl")
    assert [(row["step"], row["budget"]) for row in rows] == [(10, 4), (10, 8), (10, None), (20, 4), (20, None)]
    assert "chain                 4" in capsys.readouterr().out


def row(budget: int | None, **more: Any) -> dict[str, Any]:
    shared = {"step": 0, "model": "run", "suite": "s", "gain_per_doubling": None}
    return {**shared, "budget": budget, "accuracy": 0.5, "low": 0.25, "high": 0.75, "missing": 0, **more}


def test_a_table_has_a_line_per_model_and_a_column_per_budget() -> None:
    rows = [row(0), row(1024), row(None)]
    assert suite_table({"a": rows, "longer/name": rows}, "s").splitlines() == [
        "s            thinking off     1,024            gain per doubling  answer tokens",
        "a            0.50 [.25, .75]  0.50 [.25, .75]  -                  -",
        "longer/name  0.50 [.25, .75]  0.50 [.25, .75]  -                  -",
    ]


def test_models_of_one_name_would_share_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a/export,b/export: .* export, export are not distinct"):
        main(["recipe=lora_recovery.yaml", "model=a/export,b/export", f"out={tmp_path}"])


@pytest.mark.parametrize("step", ["-1", "ten", "1.5"])
def test_a_step_is_a_whole_number(step: str) -> None:
    with pytest.raises(UserError, match="must be a whole number"):
        main(["recipe=lora_recovery.yaml", "model=a", f"step={step}"])


def test_a_model_is_kept_in_a_folder_of_its_own_name_below_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run" / "export").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "run" / "export")
    assert [folder_of(model) for model in ("..", ".", "../export", "owner/model")] == [
        "run",
        "export",
        "export",
        "model",
    ]
