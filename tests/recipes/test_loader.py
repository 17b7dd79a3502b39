"""Arguments, files and parents to one recipe."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recipes.errors import UserError
from recipes.help import HelpAsked
from recipes.loader import find_path, load, load_recipe, to_yaml
from recipes.nano import NanoRecipe
from recipes.paths import ROOT
from recipes.schema import LoraAdapter, NoAdapter, Recipe

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


def test_a_list_is_replaced(load_small: Load) -> None:
    assert load_small("sweep.budgets=[8]").sweep.budgets == [8]


def test_an_element_of_a_list_is_changed_by_its_index(load_small: Load) -> None:
    assert [suite.size for suite in load_small("sweep.suites.1.size=64").sweep.suites] == [8, 64]


@pytest.mark.parametrize("text", ["5e-4", "0.0005", "5.0E-4"])
def test_a_number_may_be_written_with_an_exponent(load_small: Load, text: str) -> None:
    assert load_small(f"trainer.learning_rate={text}").trainer["learning_rate"] == 0.0005


@pytest.mark.parametrize("text", ["~", "null"])
def test_null_takes_a_section_away(load_small: Load, text: str) -> None:
    assert load_small(f"prune={text}", "model.pruned=x").prune is None


def test_no_is_text(load_small: Load) -> None:
    assert load_small("trainer.save_strategy=no").trainer["save_strategy"] == "no"


def test_another_variant_drops_the_keys_it_does_not_have(load_small: Load) -> None:
    assert load_small("adapter.method=none").adapter == NoAdapter()


def test_another_variant_keeps_the_keys_both_have(load_small: Load) -> None:
    assert load_small("prune.method=shortgpt").prune.layers == 2


def test_a_tag_of_the_same_variant_keeps_all_keys(load_small: Load) -> None:
    assert load_small("adapter.method=dora").adapter == LoraAdapter(method="dora", r=4)


def test_an_element_of_a_list_changes_its_variant(load_small: Load) -> None:
    suite = load_small("sweep.suites.0.source=jsonl", "sweep.suites.0.path=a.jsonl").sweep.suites[0]
    assert (suite.source, suite.name) == ("jsonl", "chain")


def test_a_mapping_may_be_one_argument(load_small: Load) -> None:
    assert load_small("prune={method: layers, remove: [3]}").prune.remove == [3]


def test_the_launchers_rank_is_dropped(small: Path) -> None:
    loaded = load_recipe(["--local_rank=1", f"recipe={small}", "seed=3"])
    assert (loaded.recipe.seed, loaded.command) == (3, (f"recipe={small}", "seed=3"))


def test_the_ending_of_a_shipped_recipe_may_be_left_out() -> None:
    assert load_recipe(["recipe=lora_recovery"]).name == "lora_recovery"


def test_another_schema_may_be_loaded() -> None:
    assert load(["recipe=nano_world.yaml", "training.steps=3"], NanoRecipe).training.steps == 3


@pytest.mark.parametrize("value", ["5e-4", "no", "12:30", "1", "~", "a\nb", "007", ""])
def test_text_that_looks_like_something_else_stays_text(load_small: Load, tmp_path: Path, value: str) -> None:
    recipe = load_small()
    recipe = recipe.model_copy(update={"wandb": recipe.wandb.model_copy(update={"project": value})})
    copy = tmp_path / "copy.yaml"
    copy.write_text(to_yaml(recipe))
    assert load_recipe([f"recipe={copy}"]).recipe.wandb.project == value


@pytest.mark.parametrize("word", ["--help", "-h", "help"])
def test_help_lists_a_key_with_type_default_and_meaning(word: str) -> None:
    with pytest.raises(HelpAsked, match=r"adapter \(method=lora\|dora\|qlora\)\.r: int >= 1, default 16\. rank\n"):
        load_recipe([word])


def test_help_lists_the_free_trainer_fields_alone() -> None:
    with pytest.raises(HelpAsked) as asked:
        load_recipe(["--help"])
    assert "learning_rate (float)" in str(asked.value) and "output_dir" not in str(asked.value)


def test_a_path_in_the_current_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipes").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_path("recipes") == "recipes"


def test_a_path_is_then_looked_up_in_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_path("recipes/schema.py") == str(ROOT / "recipes/schema.py")


def test_a_hub_id_stays_as_it_is() -> None:
    assert find_path("Qwen/Qwen3-8B") == "Qwen/Qwen3-8B"


def test_loading_a_recipe_imports_no_heavy_library() -> None:
    code = (
        "import sys; from recipes.loader import load_recipe; load_recipe(['recipe=lora_recovery.yaml']); "
        "print(sorted({'torch', 'transformers', 'trl', 'datasets', 'numpy', 'deepspeed'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_missing_recipe_names_the_shipped_ones() -> None:
    with pytest.raises(UserError, match=r"recipe=nope\.yaml: no such file.*; shipped: .*lora_recovery\.yaml"):
        load_recipe(["recipe=nope.yaml"])


def test_no_recipe_names_the_shipped_ones() -> None:
    with pytest.raises(UserError, match=r"give one recipe=FILE; shipped: .*lora_recovery\.yaml"):
        load_recipe(["seed=1"])
