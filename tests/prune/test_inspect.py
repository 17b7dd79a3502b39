"""The doctor: sound folders pass, and faults are told; every kind of fault is in scenarios/test_odd_folders.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from data_prep.nano_world import build_tokenizer
from prune.channels import Channels
from prune.inspect import check_folder, describe_plan, faults_of, main
from prune.plan import PrunePlan, save
from prune.repaired import Repair
from prune.surgery import apply_plan, save_pruned
from recipes.errors import UserError
from tests.prune.models import FAMILIES, LAYERS, build
from tests.prune.odd_folders import config, make_pair

KEPT = LAYERS - 2
PLAN = PrunePlan(method="layers", layers=LAYERS, removed=(0, 3), unpruned="the/unpruned")


def pruned(folder: Path, family: str) -> Path:
    model, tokenizer = build(family), build_tokenizer()
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    save_pruned(apply_plan(model, PLAN), tokenizer, PLAN, folder)
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


def test_tied_config_with_an_equal_copy_of_the_head_is_sound(tmp_path: Path) -> None:
    folder = pruned(tmp_path / "p", "gemma")
    edit_weights(folder, lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"].clone()}))
    assert check_folder(folder).weights.tied


def test_plan_of_a_model_of_another_width(tmp_path: Path) -> None:
    build("llama").save_pretrained(tmp_path)
    save(PrunePlan(method="width", layers=LAYERS, removed=(), channels=Channels(24, ((0, 1),) * LAYERS)), tmp_path)
    with pytest.raises(
        UserError, match="the plan leaves each layer 2 channels, but config.json says intermediate_size=24"
    ):
        check_folder(tmp_path)


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


def test_sizes_off_multiples_of_8_are_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build("llama").save_pretrained(tmp_path)  # with a vocabulary of 53
    main([str(tmp_path)])
    assert "note       alignment: not multiples of 8" in capsys.readouterr().out


def test_the_command_compares_with_the_model_that_is_named(tmp_path: Path) -> None:
    folder, unpruned = make_pair("llama", tmp_path)
    config(rms_norm_eps=0.5)(folder)
    with pytest.raises(UserError, match="rms_norm_eps=0.5, but a cut of the unpruned model has 1e-06"):
        main([str(folder), f"against={unpruned}"])


def test_the_command_says_with_what_it_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, unpruned = make_pair("llama", tmp_path)
    main([str(folder)])
    assert f"against    {unpruned}" in capsys.readouterr().out.splitlines()


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


def test_a_plan_shows_channels_and_ranks() -> None:
    plan = PrunePlan(method="by hand", layers=2, removed=(), channels=Channels(4, ((0, 1), (2, 3))), ranks={"a": 8})
    lines = describe_plan(plan).splitlines()
    assert lines[2:5] == ["removed    no layers", "kept       2 layers", "channels   2 of 4 in every layer (50.0%)"]
    assert lines[5].startswith("low rank   matrices brought to rank 8: 1;")


def test_a_plan_of_channels_shows_what_each_layer_keeps() -> None:
    plan = PrunePlan(
        method="width", layers=2, removed=(), scores=(0.75, 1.0), channels=Channels(4, ((0, 1), (0, 2, 3)))
    )
    assert describe_plan(plan).splitlines()[-3:] == [
        "layer  energy kept  channels",
        "    0       0.7500         2",
        "    1       1.0000         3",
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
