"""From a study's recipe to its cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recipes.errors import UserError
from recipes.loader import Loaded
from recipes.schema import LoraAdapter
from recipes.study import StudyRecipe
from train.study.grid import arms_of, cells_of

BASE: dict[str, Any] = {"question": "Why?", "base": "full_recovery.yaml", "seeds": [1, 2]}
ARMS = {
    "full": {"title": "every parameter", "variants": {"slow": ["trainer.learning_rate=1e-4"], "fast": []}},
    "lora": {"title": "LoRA", "parts": ["lora"], "keys": ["adapter.r=2"], "seeds": [3, 4, 5]},
    "gone": {"title": "not here", "parts": ["nothing"]},
}
PARTS = {"lora": ["adapter={method: lora, r: 4}"], "nothing": None}


def loaded(**more: Any) -> Loaded[StudyRecipe]:
    study = StudyRecipe.model_validate({**BASE, "arms": ARMS, "parts": PARTS, **more})
    return Loaded(study, "study", Path("study.yaml"), ())


def test_a_cell_for_each_arm_variant_and_seed_every_arm_once_first(tmp_path: Path) -> None:
    assert [cell.name for cell in cells_of(loaded(), tmp_path)] == [
        "full-slow, seed 1",
        "full-fast, seed 1",
        "lora, seed 3",
        "full-slow, seed 2",
        "full-fast, seed 2",
        "lora, seed 4",
        "lora, seed 5",
    ]


def test_layers_are_laid_over_one_another(tmp_path: Path) -> None:
    cells = {cell.name: cell.recipe for cell in cells_of(loaded(shared=["trainer.learning_rate=1e-2"]), tmp_path)}
    rates = [cells[f"{name}, seed 1"].trainer["learning_rate"] for name in ("full-slow", "full-fast")]
    lora = cells["lora, seed 3"].adapter
    assert rates == [1e-4, 1e-2] and isinstance(lora, LoraAdapter) and lora.r == 2


def test_a_cell_has_its_seed_its_folder_and_shared_caches(tmp_path: Path) -> None:
    cell = cells_of(loaded(), tmp_path)[3]
    assert (cell.recipe.seed, cell.folder) == (2, tmp_path / "cells" / "full-slow" / "2")
    assert (cell.recipe.run.cache_dir, cell.recipe.data.cache_dir) == (tmp_path / "cache", tmp_path / "data")


def test_an_arm_whose_part_is_null_is_told_and_not_run() -> None:
    assert {arm.name: arm.missing for arm in arms_of(loaded().recipe) if arm.missing} == {"gone": ("nothing",)}


def test_the_title_of_a_variant_names_it() -> None:
    assert arms_of(loaded().recipe)[0].title == "every parameter slow"


def test_the_faults_of_all_arms_are_said_at_once(tmp_path: Path) -> None:
    arms = {"a": {"title": "a", "keys": ["adapter.rank=2"]}, "b": {"title": "b", "keys": ["prune.layers=0", "x"]}}
    with pytest.raises(UserError) as fault:
        cells_of(loaded(arms=arms), tmp_path)
    assert [line.split(":")[0] for line in str(fault.value).splitlines()] == ["arm a", "arm b", "arm b"]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("seed=3", "arm b: seed=3: the study sets it for each cell"),
        ("run.dir=here", "arm b: run.dir=here: the study sets it"),
        ("sweep.samples=1", "nothing"),
        ("sweep.budgets=[8, 16]", r"arm b: differs from a in sweep.budgets, but arms are paired by problem"),
        ("sweep.verdict.suite=shallow", r"differs from a in sweep.verdict.suite"),
        ("model.unpruned=elsewhere", "arm b: model.unpruned=elsewhere is not that of a"),
    ],
)
def test_arms_that_cannot_be_compared_are_refused(keys: str, said: str, tmp_path: Path) -> None:
    study = loaded(arms={"a": {"title": "a"}, "b": {"title": "b", "keys": [keys]}})
    if said == "nothing":  # what is already so changes nothing
        assert len(cells_of(study, tmp_path)) == 4
        return
    with pytest.raises(UserError, match=said):
        cells_of(study, tmp_path)


def test_one_budget_has_no_gain(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a gain needs two budgets above 0"):
        cells_of(loaded(shared=["sweep.budgets=[0, 16]"]), tmp_path)


def test_a_claim_about_thinking_off_needs_a_budget_of_0(tmp_path: Path) -> None:
    claim = {"kind": "difference", "arm": "lora", "against": "pruned", "number": "thinking_off", "expected": "above"}
    with pytest.raises(UserError, match=r"claims.off: thinking_off needs a first budget of 0"):
        cells_of(loaded(claims={"off": claim}), tmp_path)


def test_a_variant_may_not_have_the_name_of_another_arm(tmp_path: Path) -> None:
    arms = {"a": {"title": "a", "variants": {"b": []}}, "a-b": {"title": "c"}}
    with pytest.raises(UserError, match="two arms have the name a-b"):
        cells_of(loaded(arms=arms), tmp_path)


def test_a_study_of_which_nothing_can_be_had_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to run"):
        cells_of(loaded(arms={"gone": ARMS["gone"]}), tmp_path)
