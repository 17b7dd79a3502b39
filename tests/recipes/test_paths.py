"""Where a path or the name of a recipe is looked up."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.errors import UserError
from recipes.paths import ROOT, SHIPPED, find_path, find_recipe


def test_a_path_in_the_current_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipes").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_path("recipes") == "recipes"


def test_a_path_is_then_looked_up_in_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_path("recipes/schema.py") == str(ROOT / "recipes/schema.py")


def test_a_hub_id_stays_as_it_is() -> None:
    assert find_path("Qwen/Qwen3-8B") == "Qwen/Qwen3-8B"


def test_the_ending_of_a_shipped_recipe_may_be_left_out() -> None:
    assert find_recipe("lora_recovery") == SHIPPED / "lora_recovery.yaml"


def test_a_missing_recipe_names_the_shipped_ones() -> None:
    with pytest.raises(UserError, match=r"recipe=nope\.yaml: no such file.*; shipped: .*lora_recovery\.yaml"):
        find_recipe("nope.yaml")


def test_a_path_in_the_home_folder_is_written_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_path("~/model") == str(tmp_path / "model")


def test_a_recipe_beside_another_comes_before_a_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "lora_recovery.yaml").write_text("seed: 1\n")
    assert find_recipe("lora_recovery.yaml", beside=tmp_path) == tmp_path / "lora_recovery.yaml"
