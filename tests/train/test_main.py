"""The method, as far as it goes without training: real runs are in the scenarios."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.errors import UserError
from tests.train.runs import run_here, small
from train.main import main


def test_a_dry_run_loads_nothing_and_leaves_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run_here(small("lora", tmp_path / "run", tmp_path / "cache", "zero.stage=0", "dry_run=true"))
    said = capsys.readouterr().out
    assert (code, "no model was loaded" in said, (tmp_path / "run").exists()) == (0, True, False)


def test_a_mistake_in_the_recipe_is_the_users() -> None:
    with pytest.raises(UserError, match="did you mean seed"):
        main(["recipe=lora_recovery.yaml", "sed=1"])
