"""Arguments, files and parents to one recipe."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recipes.errors import UserError
from recipes.loader import load, load_layers, load_recipe, to_yaml
from recipes.nano import NanoRecipe
from recipes.paths import ROOT, SHIPPED
from recipes.schema import Recipe

Load = Callable[..., Recipe]


def test_an_argument_stands_above_the_file(load_small: Load) -> None:
    assert load_small("trainer.max_steps=9").trainer == {"learning_rate": 5e-4, "max_steps": 9}


def test_a_default_stands_where_nobody_says_otherwise(load_small: Load) -> None:
    assert load_small().zero.stage == 2


def test_a_file_stands_above_its_parent(small: Path) -> None:
    child = small.parent / "child.yaml"
    child.write_text("extends: small.yaml\nseed: 5\ntrainer: {max_steps: 8}\n")
    recipe = load_recipe([f"recipe={child}"]).recipe
    assert (recipe.seed, recipe.trainer) == (5, {"learning_rate": 5e-4, "max_steps": 8})


def test_a_parent_may_be_a_shipped_recipe(tmp_path: Path) -> None:
    child = tmp_path / "child.yaml"
    child.write_text("extends: lora_recovery.yaml\nseed: 5\n")
    assert load_recipe([f"recipe={child}"]).recipe.prune.method == "tail"


@pytest.mark.parametrize("text", ["5e-4", "0.0005", "5.0E-4"])
def test_a_number_may_be_written_with_an_exponent(load_small: Load, text: str) -> None:
    assert load_small(f"trainer.learning_rate={text}").trainer["learning_rate"] == 0.0005


@pytest.mark.parametrize("text", ["~", "null"])
def test_null_takes_a_section_away(load_small: Load, text: str) -> None:
    assert load_small(f"prune={text}", "model.pruned=x").prune is None


def test_no_is_text(load_small: Load) -> None:
    assert load_small("trainer.save_strategy=no").trainer["save_strategy"] == "no"


def test_the_launchers_rank_is_dropped(small: Path) -> None:
    loaded = load_recipe(["--local_rank=1", f"recipe={small}", "seed=3"])
    assert (loaded.recipe.seed, loaded.command) == (3, (f"recipe={small}", "seed=3"))


def test_another_schema_may_be_loaded() -> None:
    assert load(["recipe=nano_world.yaml", "training.steps=3"], NanoRecipe).training.steps == 3


def test_loading_a_recipe_imports_no_heavy_library() -> None:
    code = (
        "import sys; from recipes.loader import load_recipe; load_recipe(['recipe=lora_recovery.yaml']); "
        "print(sorted({'torch', 'transformers', 'trl', 'datasets', 'numpy', 'deepspeed'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_no_recipe_names_the_shipped_ones() -> None:
    with pytest.raises(UserError, match=r"give one recipe=FILE; shipped: .*lora_recovery\.yaml"):
        load_recipe(["seed=1"])


def test_text_that_looks_like_a_number_comes_back_as_text(load_small: Load, tmp_path: Path) -> None:
    recipe = load_small()
    copy = tmp_path / "copy.yaml"
    copy.write_text(to_yaml(recipe.changed(wandb=recipe.wandb.changed(project="5e-4"))))
    assert load_recipe([f"recipe={copy}"]).recipe.wandb.project == "5e-4"


def test_a_missing_parent_is_named_with_its_child(tmp_path: Path) -> None:
    path = tmp_path / "child.yaml"
    path.write_text("extends: nope.yaml\n")
    with pytest.raises(UserError, match=r"child\.yaml: extends nope\.yaml: no such file"):
        load_recipe([f"recipe={path}"])


PARENTS = {
    "extends: broken.yaml\n": "{path}: extends itself (broken.yaml -> broken.yaml)",
    "extends: [a]\n": "{path}: extends must name one file, got ['a']",
}


@pytest.mark.parametrize(("text", "message"), PARENTS.items())
def test_a_parent_that_cannot_be_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load_recipe([f"recipe={path}"])
    assert str(caught.value) == message.format(path=path)


def test_layers_of_arguments_are_laid_over_one_another() -> None:
    layers = [["trainer.max_steps=3", "adapter={method: lora, r: 4}"], ["adapter.r=2"], []]
    loaded = load_layers(SHIPPED / "full_recovery.yaml", layers, Recipe)
    assert loaded.recipe.trainer["max_steps"] == 3 and loaded.recipe.adapter.r == 2  # type: ignore[union-attr]
    assert loaded.command == ("trainer.max_steps=3", "adapter={method: lora, r: 4}", "adapter.r=2")


def test_the_faults_of_all_layers_are_said_at_once() -> None:
    with pytest.raises(UserError) as fault:
        load_layers(SHIPPED / "full_recovery.yaml", [["--flag"], ["prune.layers=0"]], Recipe)
    assert len(str(fault.value).splitlines()) == 2
