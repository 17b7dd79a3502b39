"""From recipe sections to a pruned folder, and the two commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, Qwen3Config, Qwen3ForCausalLM

from data_prep.nano_world import build_tokenizer, nano_traces
from prune.inspect import check_folder
from prune.make import make_pruned
from recipes.data import DataSection, FormatSection
from recipes.errors import UserError
from recipes.paths import ROOT
from recipes.quality import SelectSection
from recipes.schema import LayersPrune, ModelSection, PruneSection, ShortGPTPrune, TailPrune
from recipes.suites import JsonlSuite
from recipes.traces import NanoTraces
from tests.prune.models import LAYERS, SHAPE

IDLE = 2
"""the layer that adds nothing"""
TAIL = TailPrune(method="tail", layers=2)
SHORTGPT = ShortGPTPrune(method="shortgpt", layers=1, calibration_traces=8)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prepared sets are cached under the current folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def unpruned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of the embedded world, one of whose layers adds nothing."""
    folder, tokenizer = tmp_path_factory.mktemp("unpruned"), build_tokenizer()
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(Qwen3Config(**{**SHAPE, "vocab_size": len(tokenizer), "max_position_embeddings": 512}))
    torch.nn.init.zeros_(model.model.layers[IDLE].self_attn.o_proj.weight)
    torch.nn.init.zeros_(model.model.layers[IDLE].mlp.down_proj.weight)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def data(size: int = 12) -> DataSection:
    return DataSection(
        traces=NanoTraces(source="nano", size=size),
        max_length_tokens=512,
        format=FormatSection(open="<think>", close="</think> ", cue="answer", wait="#1"),
    )


@pytest.mark.parametrize(
    ("section", "removed"),
    [(TAIL, (LAYERS - 2, LAYERS - 1)), (LayersPrune(method="layers", remove=[4, 1]), (1, 4)), (SHORTGPT, (IDLE,))],
)
def test_folder_holds_the_model_without_the_chosen_layers(
    section: PruneSection, removed: tuple[int, ...], unpruned: Path, tmp_path: Path
) -> None:
    plan = make_pruned(section, ModelSection(unpruned=str(unpruned)), data(), tmp_path / "p")
    before = AutoModelForCausalLM.from_pretrained(unpruned).model.layers
    after = AutoModelForCausalLM.from_pretrained(tmp_path / "p").model.layers
    same = [
        torch.equal(before[old].mlp.up_proj.weight, new.mlp.up_proj.weight)
        for old, new in zip(plan.kept, after, strict=True)
    ]
    assert (plan.removed, all(same), check_folder(tmp_path / "p").plan) == (removed, True, plan)


def test_plan_counts_the_traces_it_was_measured_on(unpruned: Path, tmp_path: Path) -> None:
    plan = make_pruned(SHORTGPT, ModelSection(unpruned=str(unpruned)), data(size=5), tmp_path / "p")
    assert plan.details["calibration_traces"] == 5


def test_scores_to_select_by_may_come_later(unpruned: Path, tmp_path: Path) -> None:
    later = data().model_copy(update={"select": SelectSection(scores=Path("not/there/yet.jsonl"), count=1)})
    plan = make_pruned(SHORTGPT, ModelSection(unpruned=str(unpruned)), later, tmp_path / "p")
    assert plan.details["calibration_traces"] == 8


def test_the_rows_measured_on_are_clear_of_the_sweeps_suites(unpruned: Path, tmp_path: Path) -> None:
    """They are the rows that a run trains on: prepared once, found again."""
    questions = [each.question for each in nano_traces({"knowledge": 1.0}, 5, 1)]
    (tmp_path / "s.jsonl").write_text(json.dumps({"problem": questions[0], "answer": "v1"}) + "\n")
    suites = [JsonlSuite(source="jsonl", name="s", path=tmp_path / "s.jsonl")]
    section = data(size=5).model_copy(update={"traces": NanoTraces(source="nano", size=5, shares={"knowledge": 1.0})})
    plan = make_pruned(SHORTGPT, ModelSection(unpruned=str(unpruned)), section, tmp_path / "p", suites)
    assert plan.details["calibration_traces"] == 5 - questions.count(questions[0]) < 5


def test_same_request_keeps_the_folder(unpruned: Path, tmp_path: Path) -> None:
    model = ModelSection(unpruned=str(unpruned))
    first = make_pruned(SHORTGPT, model, data(), tmp_path / "p")
    written = (tmp_path / "p/model.safetensors").stat().st_mtime_ns
    again = make_pruned(SHORTGPT, model, data(), tmp_path / "p")
    assert (again, (tmp_path / "p/model.safetensors").stat().st_mtime_ns) == (first, written)


@pytest.mark.parametrize(("section", "rows"), [(TAIL, 12), (SHORTGPT, 11)])
def test_another_request_does_not_overwrite(section: PruneSection, rows: int, unpruned: Path, tmp_path: Path) -> None:
    model = ModelSection(unpruned=str(unpruned))
    make_pruned(SHORTGPT, model, data(), tmp_path / "p")
    with pytest.raises(UserError, match="another pruned model"):
        make_pruned(section, model, data(rows), tmp_path / "p")


def test_pruned_folder_that_was_damaged_is_not_kept(unpruned: Path, tmp_path: Path) -> None:
    model = ModelSection(unpruned=str(unpruned))
    make_pruned(TAIL, model, data(), tmp_path / "p")
    config = json.loads((tmp_path / "p/config.json").read_text())
    (tmp_path / "p/config.json").write_text(json.dumps({**config, "num_hidden_layers": LAYERS}))
    with pytest.raises(UserError, match="num_hidden_layers"):
        make_pruned(TAIL, model, data(), tmp_path / "p")


def test_folder_of_something_else_is_refused(unpruned: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="holds no pruned model"):
        make_pruned(TAIL, ModelSection(unpruned=str(unpruned)), data(), tmp_path)


@pytest.mark.parametrize(
    "section", [TailPrune(method="tail", layers=LAYERS), ShortGPTPrune(method="shortgpt", layers=LAYERS)]
)
def test_removing_every_layer_is_refused(section: PruneSection, unpruned: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{LAYERS} of {LAYERS} layers would be removed"):
        make_pruned(section, ModelSection(unpruned=str(unpruned)), data(), tmp_path / "p")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    root = ROOT
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_cuts_and_doctor_passes(unpruned: Path, tmp_path: Path) -> None:
    suite = {"source": "nano", "name": "chain", "family": "chain", "size": 4}
    recipe = {
        "model": {"unpruned": str(unpruned)},
        "prune": SHORTGPT.model_dump(),
        "data": data().model_dump(mode="json"),
        "sweep": {"budgets": [8], "suites": [suite], "every_steps": 1, "answer_tokens": 4},
    }
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe))
    made = command("prune", f"recipe={tmp_path / 'r.yaml'}", f"output={tmp_path / 'p'}")
    assert (made.returncode, f"removed    {IDLE}\n" in made.stdout) == (0, True), made.stderr
    doctor = command("prune.inspect", str(tmp_path / "p"))
    assert (doctor.returncode, doctor.stdout.endswith("ok\n")) == (0, True), doctor.stderr


def test_doctor_ends_with_2_and_a_short_message(tmp_path: Path) -> None:
    result = command("prune.inspect", str(tmp_path / "nowhere"))
    assert (result.returncode, "is not a folder" in result.stderr.splitlines()[-1]) == (2, True)
