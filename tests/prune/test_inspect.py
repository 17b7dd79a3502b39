"""The doctor: sound folders pass, and each way to lie is named with file, key and remedy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from data_prep.nano_world import build_tokenizer
from prune.inspect import check_folder, describe_plan, faults_of, main
from prune.plan import PrunePlan, save
from prune.repaired import Repair
from prune.surgery import apply_plan, save_pruned
from recipes.errors import UserError
from tests.prune.models import FAMILIES, LAYERS, build

KEPT = LAYERS - 2
PLAN = PrunePlan(method="layers", layers=LAYERS, removed=(0, 3), unpruned="the/unpruned")


def pruned(folder: Path, family: str) -> Path:
    save_pruned(apply_plan(build(family), PLAN), build_tokenizer(), PLAN, folder)
    return folder


def edit_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("family", FAMILIES)
def test_sound_folder_gives_its_facts(family: str, tmp_path: Path) -> None:
    facts = check_folder(pruned(tmp_path / "p", family))
    assert (facts.weights.layers, facts.plan, facts.weights.dtypes) == (KEPT, PLAN, ("F32",))


@pytest.mark.parametrize("family", ["llama", "gemma"])
def test_parameters_are_those_of_the_model(family: str, tmp_path: Path) -> None:
    model = build(family)
    model.save_pretrained(tmp_path)
    assert check_folder(tmp_path).weights.parameters == sum(p.numel() for p in model.parameters())


def test_unpruned_folder_without_a_plan_is_sound(tmp_path: Path) -> None:
    build("llama").save_pretrained(tmp_path)
    assert check_folder(tmp_path).plan is None


@pytest.mark.parametrize(("said", "consequence"), [(LAYERS, "at random"), (KEPT - 1, "ignored")])
def test_wrong_number_of_layers(said: int, consequence: str, tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "llama")
    edit_config(folder, num_hidden_layers=said)
    message = rf"config.json: num_hidden_layers={said}, but the weights have {KEPT} layers \(.*{consequence}\); set it"
    with pytest.raises(UserError, match=message):
        check_folder(folder)


def test_number_of_layers_left_to_a_class_default_that_is_another(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "llama")
    config = json.loads((folder / "config.json").read_text())
    del config["num_hidden_layers"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="num_hidden_layers=32, but the weights have"):
        check_folder(folder)


def test_wrong_length_of_a_per_layer_list(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "qwen3")
    edit_config(folder, layer_types=["full_attention"] * LAYERS)
    message = f"config.json: layer_types has {LAYERS} entries, but the weights have {KEPT} layers; cut"
    with pytest.raises(UserError, match=message):
        check_folder(folder)


def test_layers_with_a_gap(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "llama")
    edit_weights(folder, lambda t: [t.pop(name) for name in list(t) if ".layers.1." in name] and None)
    with pytest.raises(UserError, match=f"layers up to {KEPT - 1} but none of layer 1"):
        check_folder(folder)


def test_missing_tensor(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "llama")
    edit_weights(folder, lambda t: t.__delitem__("model.layers.2.mlp.up_proj.weight"))
    with pytest.raises(UserError, match="lack model.layers.2.mlp.up_proj.weight"):
        check_folder(folder)


def test_tensor_that_the_model_does_not_have(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "llama")
    edit_weights(folder, lambda t: t.update({"model.layers.1.adapter.weight": torch.ones(2)}))
    with pytest.raises(UserError, match="model.safetensors has model.layers.1.adapter.weight"):
        check_folder(folder)


def test_shape_that_the_config_contradicts(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "llama")
    edit_config(folder, intermediate_size=32)
    with pytest.raises(UserError, match=r"config.json asks for \[.*32.*\]"):
        check_folder(folder)


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_damaged_config(text: str, tmp_path: Path) -> None:
    (pruned(tmp_path / "p", "llama") / "config.json").write_text(text)
    with pytest.raises(UserError, match="config.json"):
        check_folder(tmp_path / "p")


def test_config_that_no_model_can_be_built_from(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "llama")
    edit_config(folder, model_type="no-such-family")
    with pytest.raises(UserError, match="config.json: transformers refuses it"):
        check_folder(folder)


def test_untied_config_without_a_head(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "gemma")
    edit_config(folder, tie_word_embeddings=False)
    with pytest.raises(UserError, match="tie_word_embeddings=false, but there is no lm_head.weight"):
        check_folder(folder)


def test_tied_config_with_another_head(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "llama")
    edit_config(folder, tie_word_embeddings=True)
    with pytest.raises(UserError, match="tie_word_embeddings=true, but lm_head.weight and .* differ"):
        check_folder(folder)


def test_tied_config_with_an_equal_copy_of_the_head_is_sound(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "gemma")
    edit_weights(folder, lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"].clone()}))
    assert check_folder(folder).weights.tied


def test_plan_of_another_model(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "llama")
    save(PrunePlan(method="tail", layers=LAYERS, removed=(5,)), folder)
    with pytest.raises(UserError, match=f"prune_plan.json: the plan keeps 5 of 6 layers, but the weights have {KEPT}"):
        check_folder(folder)


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        check_folder(tmp_path / "nowhere")


def test_command_prints_plan_and_ok(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(pruned(tmp_path / "p", "llama"))])
    printed = capsys.readouterr().out
    assert "removed    0, 3" in printed and printed.endswith("ok\n")


def test_the_command_tells_all_faults_at_once(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "llama")
    edit_config(folder, num_hidden_layers=LAYERS)
    edit_weights(folder, lambda t: t.update({"model.norm.weight": torch.full((16,), float("nan"))}))
    lines = faults_of(folder)
    assert [part in line for part, line in zip(("num_hidden_layers", "not finite"), lines, strict=True)] == [True, True]


def test_what_may_not_be_meant_is_a_note_and_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = pruned(tmp_path / "p", "llama")
    edit_config(folder, dtype="bfloat16")
    (folder / "tokenizer_config.json").unlink()
    main([str(folder)])
    *lines, ok = capsys.readouterr().out.splitlines()
    notes = [line for line in lines if line.startswith("note")]
    assert ["names bfloat16, but most weights are float32" in notes[0], "no tokenizer" in notes[1], ok] == [1, 1, "ok"]


def test_a_plan_without_scores_or_merges_is_four_lines() -> None:
    assert describe_plan(PLAN).splitlines() == [
        "method     layers",
        f"unpruned   the/unpruned ({LAYERS} layers)",
        "removed    0, 3",
        f"kept       {KEPT} layers",
    ]


def test_a_plan_shows_what_is_merged_into_what() -> None:
    plan = PrunePlan(method="laco", layers=6, removed=(2, 4, 5), merged=((3, 4, 5), (1, 2)))
    assert "merged     4, 5 into 3; 2 into 1" in describe_plan(plan).splitlines()


def test_a_plan_shows_the_score_of_every_layer_and_which_of_them_go() -> None:
    plan = PrunePlan(method="shortgpt", layers=3, removed=(1,), scores=(0.5, 0.125, 0.25))
    assert describe_plan(plan).splitlines()[-4:] == [
        "layer  score",
        "    0  0.500000",
        "    1  0.125000 *",
        "    2  0.250000",
    ]


def test_what_a_method_measured_is_shown() -> None:
    steps = [{"removed": [3], "loss": 0.5, "losses": {}}, {"removed": [0, 1], "loss": 0.75, "losses": {}}]
    attempts = [
        {"group": [3, 4, 5], "cosine": 0.9, "accepted": True},
        {"group": [1, 2], "cosine": 0, "accepted": False},
    ]
    choice = {"loss_before": 0.25, "steps": steps, "attempts": attempts}
    plan = PrunePlan(method="both", layers=LAYERS, removed=(3,), details={"choice": choice})
    assert describe_plan(plan).splitlines()[4:] == [
        "loss       0.250000 before",
        "           0.500000 without 3",
        "           0.750000 without 0, 1",
        "cosine     0.900000 with 4, 5 in 3: merged",
        "cosine     0.000000 with 2 in 1: refused",
    ]


def test_a_plan_shows_each_repaired_gap() -> None:
    repairs = (Repair(0, (1,), 0.5, 0.25, 9, 1e-3), Repair(2, (3,), 0.25, 0.125, 9, 1e-3))
    lines = describe_plan(PrunePlan(method="layers", layers=4, removed=(1, 3), repairs=repairs)).splitlines()
    assert [line for line in lines if line.startswith("repaired")] == [
        "repaired   linear map in layer 0 for 1 (error 0.5 to 0.25)",
        "repaired   linear map in layer 2 for 3 (error 0.25 to 0.12)",
    ]
