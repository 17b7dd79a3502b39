"""The export: merged equals trained by an independent road, what lies in the folder, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipes.errors import UserError
from recipes.paths import ROOT
from recipes.schema import ExportSection, Recipe
from runtime.ranks import ALONE
from runtime.run_folder import RunFolder
from runtime.seal import COMPLETE
from tests.train.runs import MODEL, same, weights
from tests.train.starts import completed
from train import closing
from train.export import export_run, main, verify
from train.merging import check_adapter
from train.run import Run
from train.tracking import NoTracker

PROMPT = "start 7 #1 +3 #2 *4 #3 -2 ?"


def logits(model: torch.nn.Module, folder: Path) -> torch.Tensor:
    ids = AutoTokenizer.from_pretrained(folder)(PROMPT, return_tensors="pt").input_ids
    with torch.inference_mode():
        out: torch.Tensor = model.eval()(input_ids=ids).logits
    return out


def exported(folder: Path) -> torch.Tensor:
    return logits(AutoModelForCausalLM.from_pretrained(folder / "export", dtype=torch.float32), folder / "export")


@pytest.fixture
def copy(lora: Path, tmp_path: Path) -> RunFolder:
    """A LoRA run that a test may spoil."""
    shutil.copytree(lora, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def test_merged_equals_the_pruned_model_under_its_adapter(lora: Path) -> None:
    base = AutoModelForCausalLM.from_pretrained(lora / "pruned", dtype=torch.float32)
    adapted = logits(PeftModel.from_pretrained(base, lora / "checkpoint-8"), lora / "pruned")
    assert float((exported(lora) - adapted).abs().max()) <= 1e-4


def test_the_adapter_of_that_test_changes_the_logits(lora: Path) -> None:
    base = AutoModelForCausalLM.from_pretrained(lora / "pruned", dtype=torch.float32)
    assert float((exported(lora) - logits(base, lora / "pruned")).abs().max()) > 0.1


def test_a_full_export_is_the_checkpoint_bit_for_bit(full: Path) -> None:
    assert same(weights(full / "export"), weights(full / "checkpoint-8"))


@pytest.mark.slow
@pytest.mark.parametrize("run", ["lora_zero3", "full_zero3", "lora_zero2", "full_zero2"])
def test_a_sharded_run_exports_what_it_trained(run: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(run)
    checkpoint = RunFolder(folder).complete_checkpoints()[-1]
    if (checkpoint / "adapter_config.json").is_file():
        base = AutoModelForCausalLM.from_pretrained(folder / "pruned", dtype=torch.float32)
        trained = PeftModel.from_pretrained(base, checkpoint)
    else:
        trained = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    assert float((exported(folder) - logits(trained, folder / "pruned")).abs().max()) <= 1e-4


@pytest.mark.slow
def test_no_tensor_of_a_sharded_adapter_is_empty(lora_zero3: Path) -> None:
    saved = weights(lora_zero3 / "checkpoint-8")
    assert saved
    assert [name for name, tensor in saved.items() if tensor.numel() == 0 or not bool(tensor.any())] == []


def test_the_exports_config_uses_the_cache(lora: Path) -> None:
    assert json.loads((lora / "export" / "config.json").read_text())["use_cache"] is True


def test_the_exports_config_has_the_pruned_models_layers(lora: Path) -> None:
    config = json.loads((lora / "export" / "config.json").read_text())
    assert (config["num_hidden_layers"], len(config["layer_types"])) == (6, 6)


def test_the_report_gives_the_differences(lora: Path) -> None:
    report = json.loads((lora / "export" / "export_report.json").read_text())
    assert report["checkpoint"] == "checkpoint-8"
    assert report["cast_difference"] <= 1e-3


def test_the_model_card_holds_the_recipe(lora: Path) -> None:
    assert "learning_rate: 0.005" in (lora / "export" / "README.md").read_text()


def test_the_model_cards_figure_is_beside_it(lora: Path) -> None:
    card = (lora / "export" / "README.md").read_text()
    assert "](accuracy_by_budget.png)" in card
    assert (lora / "export" / "accuracy_by_budget.png").is_file()


def test_the_code_of_the_model_card_answers_within_a_budget(
    lora: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card = (lora / "export" / "README.md").read_text()
    code = card.split("```python\n")[1].split("```")[0].replace("Your question", PROMPT)
    monkeypatch.chdir(lora)
    exec(code.replace(json.dumps(RunFolder(lora).facts()["name"]), '"export"'), {})  # noqa: S102 - our own code
    assert capsys.readouterr().out.strip()


def test_no_path_of_this_machine_is_exported(lora: Path) -> None:
    texts = [path for path in (lora / "export").iterdir() if path.suffix in (".json", ".md", ".jinja")]
    held = [path.name for path in texts for place in (lora, MODEL) if str(place) in path.read_text(encoding="utf-8")]
    assert held == []


def test_no_card_of_another_tool_lies_in_the_run(lora: Path) -> None:
    assert [path.parent.name for path in lora.rglob("README.md")] == ["export"]


def test_bfloat16_is_written_as_bfloat16(copy: RunFolder, tmp_path: Path) -> None:
    export_run(copy, tmp_path / "out", ExportSection(dtype="bfloat16"))
    assert {tensor.dtype for tensor in weights(tmp_path / "out").values()} == {torch.bfloat16}


def refused(act: Callable[[], object], *words: str) -> None:
    with pytest.raises(UserError) as caught:
        act()
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_run_without_a_complete_checkpoint_is_refused(copy: RunFolder, tmp_path: Path) -> None:
    for mark in copy.path.glob("checkpoint-*/COMPLETE"):
        mark.unlink()
    refused(lambda: export_run(copy, tmp_path / "out", ExportSection()), "no complete checkpoint")


def test_changed_pruned_weights_are_refused(copy: RunFolder, tmp_path: Path) -> None:
    file = copy.path / "pruned" / "model.safetensors"
    save_file({name: tensor * 1.01 for name, tensor in weights(copy.path / "pruned").items()}, file, {"format": "pt"})
    refused(lambda: export_run(copy, tmp_path / "out", ExportSection()), "fingerprint")


def test_a_difference_over_the_tolerance_leaves_nothing_at_out(copy: RunFolder, tmp_path: Path) -> None:
    refused(lambda: export_run(copy, tmp_path / "out", ExportSection(tolerance=1e-12)), "export.tolerance=1e-12")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_empty_is_refused(copy: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    refused(lambda: main([f"run={copy.path}", f"out={tmp_path / 'out'}"]), "not empty")


def test_an_adapter_with_an_empty_tensor_is_refused(copy: RunFolder) -> None:
    checkpoint = copy.path / "checkpoint-8"
    spoiled = {name: tensor[:0].clone() for name, tensor in weights(checkpoint).items()}
    save_file(spoiled, checkpoint / "adapter_model.safetensors", {"format": "pt"})
    refused(lambda: check_adapter(checkpoint), "not saved completely")


def test_weights_that_are_no_numbers_are_refused(full: Path, tmp_path: Path) -> None:
    shutil.copytree(full, tmp_path / "run")
    checkpoint = tmp_path / "run" / "checkpoint-8"
    spoiled = {name: torch.full_like(tensor, float("nan")) for name, tensor in weights(checkpoint).items()}
    save_file(spoiled, checkpoint / "model.safetensors", {"format": "pt"})
    (checkpoint / COMPLETE).write_text("8")  # an earlier version's mark, which says nothing of the files
    run = RunFolder(tmp_path / "run")
    refused(lambda: export_run(run, tmp_path / "out", ExportSection()), "not finite", "embed_tokens")


@pytest.mark.slow
def test_a_link_at_out_is_not_followed(copy: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "mine")
    refused(
        lambda: main([f"run={copy.path}", f"out={tmp_path / 'out'}"]), "out", "is a link to", "which is not followed"
    )


@pytest.mark.slow
def test_the_command_exports_the_newest_checkpoint(copy: RunFolder, tmp_path: Path) -> None:
    done = completed(["-m", "train.export", f"run={copy.path}", f"out={tmp_path / 'out'}"], ROOT)
    assert done.returncode == 0, done.stderr
    assert same(weights(tmp_path / "out"), weights(copy.path / "export"))


@pytest.mark.slow
def test_any_complete_checkpoint_can_be_exported(copy: RunFolder, tmp_path: Path) -> None:
    main([f"run={copy.path}", f"out={tmp_path / 'out'}", "checkpoint=4"])
    assert json.loads((tmp_path / "out" / "export_report.json").read_text())["checkpoint"] == "checkpoint-4"


def test_a_step_without_a_checkpoint_is_refused_with_those_there_are(copy: RunFolder, tmp_path: Path) -> None:
    refused(lambda: main([f"run={copy.path}", f"out={tmp_path / 'out'}", "checkpoint=5"]), "checkpoint=5", "4, 8")


def test_verify_passes_what_was_exported(lora: Path) -> None:
    assert "files of the model are as exported" in verify(lora / "export")


def test_verify_leaves_the_card_to_its_owner(copy: RunFolder) -> None:
    (copy.export / "README.md").write_text("mine")
    assert "as exported" in verify(copy.export)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json", "generation_config.json"])
def test_verify_refuses_a_file_that_was_changed(copy: RunFolder, file: str) -> None:
    with (copy.export / file).open("r+b") as stream:
        stream.seek(10)
        stream.write(b"!")
    refused(lambda: verify(copy.export), f"{file} has other bytes")


def test_verify_refuses_a_file_that_came_later(copy: RunFolder) -> None:
    (copy.export / "adapter_config.json").write_text("{}")
    refused(lambda: verify(copy.export), "adapter_config.json was added later")


def test_verify_refuses_a_folder_without_a_seal(copy: RunFolder) -> None:
    refused(lambda: verify(copy.pruned), "has no file COMPLETE")


@pytest.mark.slow
def test_a_refused_export_leaves_the_runs_end_recorded(copy: RunFolder, tmp_path: Path) -> None:
    recipe = Recipe.model_validate(copy.facts()["recipe"]).changed(export=ExportSection(tolerance=1e-12))
    unconfirmed: Any = SimpleNamespace(confirm=None)
    run = Run(copy, ALONE, NoTracker())
    refused(lambda: closing.finish(run, recipe, unconfirmed, str(copy.pruned)), "export refused")
    assert copy.facts()["finished"] and copy.facts()["verdict"]
