"""From a recipe's section to a pruned folder, and when a folder that is there is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from data_prep.models import load_tokenizer
from data_prep.prepared.prepare import Prepared, quiet
from data_prep.tokens.prompts import think_format
from prune.calibration import calibration_set
from prune.inspect import check_folder
from prune.make import make_pruned
from recipes.data import DataSection, FormatSection
from recipes.errors import UserError
from recipes.prune import LayersPrune, LowRankPrune, PruneSection, ShortGPTPrune, TailPrune, WidthPrune
from recipes.schema import ModelSection
from recipes.traces import NanoTraces
from tests.prune.models import IDLE, LAYERS

TAIL = TailPrune(method="tail", layers=2)
SHORTGPT = ShortGPTPrune(method="shortgpt", layers=1, calibration_traces=8)


@pytest.fixture
def traces(unpruned: Path, tmp_path: Path) -> Callable[[int], Callable[[], Prepared]]:
    """Gives what gives so many prepared traces."""
    tokenizer = load_tokenizer(str(unpruned), ModelSection(unpruned=str(unpruned)))
    marks = FormatSection(open="<think>", close="</think> ", cue="answer", wait="#1")

    def of_size(size: int) -> Callable[[], Prepared]:
        data = DataSection(
            traces=NanoTraces(source="nano", size=size),
            max_length_tokens=512,
            format=marks,
            cache_dir=tmp_path / "data",
        )
        return lambda: calibration_set(data, tokenizer, think_format(marks, tokenizer), quiet, ())

    return of_size


Traces = Callable[[int], Callable[[], Prepared]]


@pytest.mark.parametrize(
    ("section", "removed"),
    [(TAIL, (LAYERS - 2, LAYERS - 1)), (LayersPrune(method="layers", remove=[4, 1]), (1, 4)), (SHORTGPT, (IDLE,))],
)
def test_folder_holds_the_model_without_the_chosen_layers(
    section: PruneSection, removed: tuple[int, ...], unpruned: Path, traces: Traces, tmp_path: Path
) -> None:
    plan = make_pruned(section, ModelSection(unpruned=str(unpruned)), traces(12), tmp_path / "p")
    before = AutoModelForCausalLM.from_pretrained(unpruned).model.layers
    after = AutoModelForCausalLM.from_pretrained(tmp_path / "p").model.layers
    same = [
        torch.equal(before[old].mlp.up_proj.weight, new.mlp.up_proj.weight)
        for old, new in zip(plan.kept, after, strict=True)
    ]
    assert (plan.removed, all(same), check_folder(tmp_path / "p").plan) == (removed, True, plan)


WIDTH = WidthPrune(method="width", width=16, multiple=8, calibration_traces=8)
LOW_RANK = LowRankPrune(method="low_rank", share=0.7, multiple=2, calibration_traces=8)


@pytest.mark.parametrize(
    "section", [WIDTH, WIDTH.changed(widths="by_layer"), LOW_RANK], ids=["width", "layers", "rank"]
)
def test_narrowed_folder_is_sound_and_is_found_again(
    section: PruneSection, unpruned: Path, traces: Traces, tmp_path: Path
) -> None:
    model = ModelSection(unpruned=str(unpruned))
    plan = make_pruned(section, model, traces(12), tmp_path / "p")
    assert (plan.removed, check_folder(tmp_path / "p").plan) == ((), plan)
    assert make_pruned(section, model, traces(12), tmp_path / "p") == plan


def test_matrices_come_out_with_the_ranks_of_the_plan(unpruned: Path, traces: Traces, tmp_path: Path) -> None:
    plan = make_pruned(LOW_RANK, ModelSection(unpruned=str(unpruned)), traces(12), tmp_path / "p")
    made = AutoModelForCausalLM.from_pretrained(tmp_path / "p")
    weights = {name: made.get_submodule(name).weight.detach() for name in plan.ranks}
    live = {name: weight for name, weight in weights.items() if f".{IDLE}." not in name}  # it adds nothing: zeros
    found = {name: int(torch.linalg.matrix_rank(weight, rtol=1e-5)) for name, weight in live.items()}
    assert live and found == {name: plan.ranks[name] for name in live}


def test_a_width_that_does_not_fit_is_refused_before_traces_are_prepared(unpruned: Path, tmp_path: Path) -> None:
    def prepare() -> Prepared:
        pytest.fail("traces were prepared")

    with pytest.raises(UserError, match="prune.width=32: the model has 24 channels"):
        make_pruned(WIDTH.changed(width=32), ModelSection(unpruned=str(unpruned)), prepare, tmp_path / "p")


def test_plan_counts_the_traces_it_was_measured_on(unpruned: Path, traces: Traces, tmp_path: Path) -> None:
    plan = make_pruned(SHORTGPT, ModelSection(unpruned=str(unpruned)), traces(5), tmp_path / "p")
    assert plan.details["calibration_traces"] == 5


def test_same_request_keeps_the_folder(unpruned: Path, traces: Traces, tmp_path: Path) -> None:
    model = ModelSection(unpruned=str(unpruned))
    first = make_pruned(SHORTGPT, model, traces(12), tmp_path / "p")
    written = (tmp_path / "p/model.safetensors").stat().st_mtime_ns
    again = make_pruned(SHORTGPT, model, traces(12), tmp_path / "p")
    assert (again, (tmp_path / "p/model.safetensors").stat().st_mtime_ns) == (first, written)


@pytest.mark.parametrize(("section", "rows"), [(TAIL, 12), (SHORTGPT, 11)])
def test_another_request_does_not_overwrite(
    section: PruneSection, rows: int, unpruned: Path, traces: Traces, tmp_path: Path
) -> None:
    model = ModelSection(unpruned=str(unpruned))
    make_pruned(SHORTGPT, model, traces(12), tmp_path / "p")
    with pytest.raises(UserError, match="another pruned model"):
        make_pruned(section, model, traces(rows), tmp_path / "p")


def test_pruned_folder_that_was_damaged_is_not_kept(unpruned: Path, traces: Traces, tmp_path: Path) -> None:
    model = ModelSection(unpruned=str(unpruned))
    make_pruned(TAIL, model, traces(12), tmp_path / "p")
    config = json.loads((tmp_path / "p/config.json").read_text())
    (tmp_path / "p/config.json").write_text(json.dumps({**config, "num_hidden_layers": LAYERS}))
    with pytest.raises(UserError, match="num_hidden_layers"):
        make_pruned(TAIL, model, traces(12), tmp_path / "p")


def test_no_traces_are_prepared_for_a_method_that_needs_none(unpruned: Path, tmp_path: Path) -> None:
    def prepare() -> Prepared:
        pytest.fail("traces were prepared")

    plan = make_pruned(TAIL, ModelSection(unpruned=str(unpruned)), prepare, tmp_path / "p")
    assert plan.details["calibration_traces"] == 0


def test_folder_of_something_else_is_refused(unpruned: Path, traces: Traces, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="holds no pruned model"):
        make_pruned(TAIL, ModelSection(unpruned=str(unpruned)), traces(12), tmp_path)


@pytest.mark.parametrize(
    "section", [TailPrune(method="tail", layers=LAYERS), ShortGPTPrune(method="shortgpt", layers=LAYERS)]
)
def test_removing_every_layer_is_refused(section: PruneSection, unpruned: Path, traces: Traces, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{LAYERS} of {LAYERS} layers would be removed"):
        make_pruned(section, ModelSection(unpruned=str(unpruned)), traces(12), tmp_path / "p")
