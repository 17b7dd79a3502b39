"""The recipes in the folder: each loads, and each survives being written and read again."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from recipes.loader import load, load_recipe, to_yaml
from recipes.nano import NanoRecipe
from recipes.paths import SHIPPED, shipped_recipes
from recipes.schema import LoraAdapter, NoAdapter
from recipes.study import StudyRecipe

WORLDS = ["nano_world.yaml", "ways_world.yaml"]
STUDIES = [name for name in shipped_recipes() if name.startswith("study")]
RUNS = [name for name in shipped_recipes() if name not in (*WORLDS, *STUDIES)]
CHILDREN = [
    "lora_recovery.yaml",
    "full_recovery.yaml",
    "qwen3_8b_lora.yaml",
    "qwen3_8b_full.yaml",
    "distill_recovery.yaml",
    "qwen3_8b_distill.yaml",
    "on_policy_recovery.yaml",
    "qwen3_8b_on_policy.yaml",
]
WAYS = ["ways_recovery.yaml", "ways_own_recovery.yaml", "ways_quick_recovery.yaml", "ways_foreign_recovery.yaml"]


def test_every_expected_recipe_is_shipped() -> None:
    assert set(CHILDREN) | {*WORLDS, *WAYS, "nano_recovery.yaml", "qwen3_8b.yaml"} <= set(shipped_recipes())


@pytest.mark.parametrize("name", RUNS)
def test_a_shipped_recipe_loads_under_its_name(name: str) -> None:
    assert load_recipe([f"recipe={name}"]).name == name.removesuffix(".yaml")


@pytest.mark.parametrize("name", WORLDS)
def test_an_embedded_reasoners_recipe_loads(name: str) -> None:
    assert load([f"recipe={name}"], NanoRecipe).model.layers == 8


@pytest.mark.parametrize("name", STUDIES)
def test_a_shipped_study_loads(name: str) -> None:
    assert load([f"recipe={name}"], StudyRecipe).claims


@pytest.mark.parametrize("name", RUNS)
def test_a_written_recipe_loads_to_an_equal_one(name: str, tmp_path: Path) -> None:
    recipe = load_recipe([f"recipe={name}"]).recipe
    copy = tmp_path / "copy.yaml"
    copy.write_text(to_yaml(recipe))
    assert load_recipe([f"recipe={copy}"]).recipe == recipe


@pytest.mark.parametrize("name", RUNS)
def test_a_written_recipe_means_the_same_to_any_yaml_reader(name: str) -> None:
    recipe = load_recipe([f"recipe={name}"]).recipe
    assert yaml.safe_load(to_yaml(recipe)) == recipe.model_dump(mode="json")


@pytest.mark.parametrize("name", [*CHILDREN, *WORLDS, *WAYS[1:], *STUDIES])
def test_the_header_gives_the_command(name: str) -> None:
    assert f"recipe={name}" in (SHIPPED / name).read_text().split("\n")[1]


def test_lora_and_full_recovery_differ_in_adapter_and_learning_rate_alone() -> None:
    lora, full = (load_recipe([f"recipe={name}"]).recipe for name in CHILDREN[:2])
    assert isinstance(lora.adapter, LoraAdapter) and isinstance(full.adapter, NoAdapter)
    same = full.changed(adapter=lora.adapter, trainer={**full.trainer, "learning_rate": 5e-3})
    assert same == lora


def test_qwen_recipes_use_zero_2_for_lora_and_zero_3_for_full() -> None:
    assert [load_recipe([f"recipe={name}"]).recipe.zero.stage for name in CHILDREN[2:4]] == [2, 3]


@pytest.mark.parametrize(("name", "parent"), [("distill", "full"), ("qwen3_8b_distill", "qwen3_8b_full")])
def test_a_distilling_recipe_differs_from_its_parent_in_the_loss_alone(name: str, parent: str) -> None:
    parts = {"distill": "distill_recovery", "full": "full_recovery"}
    one, other = (
        load_recipe([f"recipe={parts.get(each, each)}.yaml"]).recipe.model_dump(mode="json") for each in (name, parent)
    )
    assert {key for key in one if one[key] != other[key]} == {"loss"}


@pytest.mark.parametrize("name", WAYS[1:])
def test_recoveries_of_the_second_world_differ_in_their_traces_alone(name: str) -> None:
    parent, child = (load_recipe([f"recipe={each}"]).recipe for each in (WAYS[0], name))
    assert child.data.traces != parent.data.traces and child.data.labelled_tokens is not None
    assert child.changed(data=child.data.changed(traces=parent.data.traces)) == parent
