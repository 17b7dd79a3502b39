"""What an export would be refused for is told before training, a line for each fault, and a sound recipe passes."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, PreTrainedTokenizerBase

from recipes.errors import UserError
from recipes.loader import load
from recipes.schema import Recipe
from runtime.run_folder import RunFolder
from tests.train.runs import MODEL, run_here, small
from train.exportable import check_exportable, config_faults, merge_faults, place_faults, room_faults, tokenizer_faults
from train.sizes import skeleton

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of the embedded reasoner that a test may spoil."""
    shutil.copytree(MODEL, tmp_path / "model")
    return tmp_path / "model"


def recipe_of(folder: Path, *overrides: str, method: str = "lora") -> Recipe:
    return load(small(method, folder / "run", folder, "zero.stage=0", *overrides))


def tokenizer_at(folder: Path) -> PreTrainedTokenizerBase:
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
    return tokenizer


def told(recipe: Recipe, folder: Path, tokenizer: PreTrainedTokenizerBase | None = None) -> list[str]:
    with pytest.raises(UserError) as refusal:
        check_exportable(recipe, RunFolder(folder / "run"), tokenizer or tokenizer_at(MODEL))
    return str(refusal.value).splitlines()


def write_generation(model: Path, **values: Any) -> None:
    (model / "generation_config.json").write_text(json.dumps({"eos_token_id": 3, **values}))


@pytest.mark.parametrize("override", ["adapter.method=lora", "adapter.method=dora", "adapter.rank_stabilised=true"])
def test_a_sound_recipe_passes_and_leaves_nothing(override: str, tmp_path: Path) -> None:
    check_exportable(recipe_of(tmp_path, override), RunFolder(tmp_path / "run"), tokenizer_at(MODEL))
    assert not (tmp_path / "run").exists()


def test_training_of_every_parameter_passes(tmp_path: Path) -> None:
    check_exportable(recipe_of(tmp_path, method="full"), RunFolder(tmp_path / "run"), tokenizer_at(MODEL))


def test_all_faults_are_told_at_once_a_line_each(model: Path, tmp_path: Path) -> None:
    write_generation(model, temperature=0.6)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "export").write_text("mine")
    tokenizer = tokenizer_at(MODEL)
    tokenizer.chat_template = "{{ raise_exception('no user') }}"
    lines = told(recipe_of(tmp_path, "prune=null", f"model.pruned={model}"), tmp_path, tokenizer)
    words = ("export is a file", "transformers refuses to save it", "(no user)")
    assert [word in line for word, line in zip(words, lines, strict=True)] == [True, True, True]
    assert all(line.startswith("export: ") for line in lines)


def test_without_an_export_nothing_is_asked(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "export").write_text("mine")
    recipe = recipe_of(tmp_path, "export.enabled=false")
    assert check_exportable(recipe, RunFolder(tmp_path / "run"), tokenizer_at(MODEL)) is None


def test_a_dry_run_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "export").symlink_to(tmp_path)
    with pytest.raises(UserError, match="export is a link to .*, which is not followed, but the export goes there"):
        run_here(small("lora", tmp_path / "run", tmp_path, "zero.stage=0", "dry_run=true"))


def test_a_file_above_the_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (fault,) = place_faults(RunFolder(tmp_path / "file" / "deeper" / "run"))
    assert f"{tmp_path / 'file'} is a file" in fault


def test_a_generation_config_that_a_cut_makes_savable_passes(model: Path, tmp_path: Path) -> None:
    write_generation(model, temperature=0.6)
    recipe = recipe_of(tmp_path, f"model.unpruned={model}")
    assert check_exportable(recipe, RunFolder(tmp_path / "run"), tokenizer_at(MODEL)) is None


def test_a_generation_config_that_cannot_be_read_is_told(model: Path, tmp_path: Path) -> None:
    (model / "generation_config.json").write_text("{")
    (line,) = told(recipe_of(tmp_path, "prune=null", f"model.pruned={model}"), tmp_path)
    assert "generation_config.json: transformers cannot read it (" in line


def test_the_copy_that_the_remedy_names_passes(model: Path, tmp_path: Path) -> None:
    from prune.repair import repair

    write_generation(model, temperature=0.6)
    (line,) = told(recipe_of(tmp_path, "prune=null", f"model.pruned={model}"), tmp_path)
    assert f"prune.inspect {model} fix=OUT" in line
    repair(model, tmp_path / "out")
    recipe = recipe_of(tmp_path, "prune=null", f"model.pruned={tmp_path / 'out'}")
    assert check_exportable(recipe, RunFolder(tmp_path / "run"), tokenizer_at(MODEL)) is None


@pytest.mark.parametrize(
    ("dtype", "free", "count"), [("float32", 4_000, 0), ("float32", 3_999, 1), ("bfloat16", 2_000, 0)]
)
def test_the_disk_holds_the_exported_weights(
    dtype: str, free: int, count: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free, 0, free))
    assert len(list(room_faults(1_000, dtype, tmp_path / "not" / "yet"))) == count


def test_a_merge_that_no_main_memory_holds_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**18, 0, 10**18))
    (fault,) = room_faults(10**15, "bfloat16", tmp_path)
    assert fault.startswith("merging the model in float32 takes 4,000,000.0 GB of main memory")


def test_a_tokenizer_that_loses_tokens_when_saved_is_named(tmp_path: Path) -> None:
    class Forgetful(type(tokenizer_at(MODEL))):  # type: ignore[misc]
        def save_pretrained(self, folder: Path, **_: Any) -> None:
            tokenizer_at(MODEL).save_pretrained(folder)

    tokenizer = Forgetful.from_pretrained(MODEL)
    tokenizer.add_tokens(["<more>"])
    (fault,) = tokenizer_faults(recipe_of(tmp_path), tokenizer, tmp_path / "saved")
    assert "its vocabulary changed when saved and read back" in fault


def test_a_config_that_cannot_be_saved_is_told(tmp_path: Path) -> None:
    config = LlamaConfig()
    config.strange = object()
    (fault,) = config_faults(config, tmp_path)
    assert "transformers refuses to save the config of the pruned model (" in fault


def test_a_merge_that_fails_is_told(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path)
    made = skeleton(recipe.model, recipe.prune, recipe.adapter)
    made.trained.get_submodule("base_model.model.model.layers.0.mlp.up_proj").lora_A[
        "default"
    ].weight = torch.nn.Parameter(torch.empty(3, 5, device="meta"))
    (fault,) = merge_faults(made)
    assert fault.startswith("the adapter cannot be merged into this model (")
