"""From a recipe's section to a pruned folder, and when a folder that is there is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from data_prep.models import load_tokenizer
from data_prep.prepared.prepare import Prepared, quiet
from data_prep.tokens.prompts import think_format
from prune.calibration import calibration_set
from prune.inspect import check_folder, describe_plan
from prune.make import check_request, make_pruned
from recipes.data import DataSection, FormatSection
from recipes.errors import UserError
from recipes.prune import (
    LaCoPrune,
    LayersPrune,
    LowRankPrune,
    OwnThoughtsCalibration,
    PerplexityPrune,
    PruneSection,
    ShortGPTPrune,
    TailPrune,
    TextCalibration,
    WidthPrune,
)
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


def nothing_prepared() -> Prepared:
    pytest.fail("traces were prepared")


def test_what_earlier_versions_asked_for_is_asked_for_in_the_same_words(
    unpruned: Path, traces: Traces, tmp_path: Path
) -> None:
    plan = make_pruned(SHORTGPT, ModelSection(unpruned=str(unpruned)), traces(5), tmp_path / "p")
    assert plan.details["request"] == {
        "prune": {"method": "shortgpt", "layers": 1, "calibration_traces": 8},
        "dtype": "float32",
        "data_hash": traces(5)().hash,
    }


def test_traces_by_name_are_the_same_request_as_by_default(unpruned: Path, traces: Traces, tmp_path: Path) -> None:
    named = ShortGPTPrune.model_validate({**SHORTGPT.model_dump(), "calibration": {"source": "traces"}})
    model = ModelSection(unpruned=str(unpruned))
    first = make_pruned(SHORTGPT, model, traces(5), tmp_path / "p")
    assert make_pruned(named, model, traces(5), tmp_path / "p") == first


def test_plain_text_needs_no_traces(unpruned: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("start 2 #1 +3\n\nstart 4 #1 -1\n")
    texts = TextCalibration(source="text", path=tmp_path / "t.txt", max_tokens=3)
    section = PerplexityPrune(method="perplexity", layers=1, calibration=texts)
    plan = make_pruned(section, ModelSection(unpruned=str(unpruned)), nothing_prepared, tmp_path / "p")
    assert (plan.details["calibration_traces"], plan.details["calibration_tokens"]) == (2, 6)
    assert plan.details["request"]["texts_shortened"] == 2
    assert plan.details["choice"]["steps"][0]["removed"] == list(plan.removed)


def test_other_texts_are_another_request(unpruned: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("start 2 #1 +3")
    texts = TextCalibration(source="text", path=tmp_path / "t.txt")
    section = ShortGPTPrune(method="shortgpt", layers=1, calibration=texts)
    make_pruned(section, ModelSection(unpruned=str(unpruned)), nothing_prepared, tmp_path / "p")
    (tmp_path / "t.txt").write_text("start 2 #1 +4")
    with pytest.raises(UserError, match="another pruned model"):
        make_pruned(section, ModelSection(unpruned=str(unpruned)), nothing_prepared, tmp_path / "p")


def test_own_thoughts_take_the_place_of_those_of_the_traces(unpruned: Path, traces: Traces, tmp_path: Path) -> None:
    kind = OwnThoughtsCalibration(source="own_thoughts", max_tokens=2)
    section = ShortGPTPrune(method="shortgpt", layers=1, calibration_traces=3, calibration=kind)
    plan = make_pruned(section, ModelSection(unpruned=str(unpruned)), traces(5), tmp_path / "p")
    prompts = sum(row.labels.count(-100) for row in traces(5)().rows[:3])
    assert 0 <= plan.details["thoughts_ended"] <= 3
    assert prompts + 3 <= plan.details["calibration_tokens"] <= prompts + 6


def test_a_merge_on_disk_is_the_plan_carried_out(unpruned: Path, traces: Traces, tmp_path: Path) -> None:
    section = LaCoPrune(method="laco", layers=1, layers_merged=2, threshold=-1)
    plan = make_pruned(section, ModelSection(unpruned=str(unpruned)), traces(5), tmp_path / "p")
    before = AutoModelForCausalLM.from_pretrained(unpruned).model.layers
    after = AutoModelForCausalLM.from_pretrained(tmp_path / "p").model.layers
    assert (plan.merged, plan.removed) == (((LAYERS - 2, LAYERS - 1),), (LAYERS - 1,))
    # of two layers the sum is the second one
    assert torch.equal(after[LAYERS - 2].mlp.up_proj.weight, before[LAYERS - 1].mlp.up_proj.weight)


def test_a_cut_of_a_cut_is_the_cut_of_both(unpruned: Path, tmp_path: Path) -> None:
    """Layers 1 and 4 go, then layer 3; held against the unpruned model without 1, 3 and 4."""
    model, once, twice = ModelSection(unpruned=str(unpruned)), tmp_path / "once", tmp_path / "twice"
    make_pruned(LayersPrune(method="layers", remove=[1, 4]), model, nothing_prepared, once)
    again = LayersPrune(method="layers", remove=[3], cut_from=str(once))
    plan = make_pruned(again, model, nothing_prepared, twice)
    make_pruned(LayersPrune(method="layers", remove=[1, 3, 4]), model, nothing_prepared, tmp_path / "both")
    assert (twice / "model.safetensors").read_bytes() == (tmp_path / "both/model.safetensors").read_bytes()
    assert (plan.removed, [cut.removed for cut in plan.cuts]) == ((1, 3, 4), [(1, 4), (3,)])
    assert plan.unpruned == str(unpruned)
    assert check_folder(twice).plan == plan == make_pruned(again, model, nothing_prepared, twice)
    told = [line for line in describe_plan(plan).splitlines() if line.startswith("cut")]
    assert told == ["cut 1      layers: removed 1, 4", "cut 2      layers: removed 3"]


def test_another_model_to_cut_further_is_another_request(unpruned: Path, tmp_path: Path) -> None:
    model = ModelSection(unpruned=str(unpruned))
    for first in (0, 1):
        make_pruned(LayersPrune(method="layers", remove=[first]), model, nothing_prepared, tmp_path / str(first))
    sections = [TailPrune(method="tail", layers=1, cut_from=str(tmp_path / str(first))) for first in (0, 1)]
    make_pruned(sections[0], model, nothing_prepared, tmp_path / "p")
    with pytest.raises(UserError, match="another pruned model"):
        make_pruned(sections[1], model, nothing_prepared, tmp_path / "p")


def test_the_layers_of_the_model_that_is_cut_count(unpruned: Path, tmp_path: Path) -> None:
    model = ModelSection(unpruned=str(unpruned))
    make_pruned(TAIL, model, nothing_prepared, tmp_path / "once")
    with pytest.raises(UserError, match=f"{LAYERS - 2} of {LAYERS - 2} layers would be removed"):
        check_request(TailPrune(method="tail", layers=LAYERS - 2, cut_from=str(tmp_path / "once")), model)


def test_texts_that_are_not_there_are_refused_before_anything_is_loaded(unpruned: Path, tmp_path: Path) -> None:
    texts = TextCalibration(source="text", path=tmp_path / "gone.txt")
    section = ShortGPTPrune(method="shortgpt", layers=1, calibration=texts)
    with pytest.raises(UserError, match="prune.calibration.path=.*no such file"):
        check_request(section, ModelSection(unpruned=str(unpruned)))


def test_texts_beyond_the_context_are_refused(unpruned: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("start 2 #1 +3")
    texts = TextCalibration(source="text", path=tmp_path / "t.txt", max_tokens=600)
    section = ShortGPTPrune(method="shortgpt", layers=1, calibration=texts)
    with pytest.raises(UserError, match=r"max_tokens=600: text would take 600 tokens.*512; write at most 512"):
        check_request(section, ModelSection(unpruned=str(unpruned)))


def test_thoughts_beyond_the_context_are_refused_before_weights_are_loaded(
    unpruned: Path, traces: Traces, tmp_path: Path
) -> None:
    kind = OwnThoughtsCalibration(source="own_thoughts", max_tokens=512)
    section = ShortGPTPrune(method="shortgpt", layers=1, calibration_traces=3, calibration=kind)
    longest = max(row.labels.count(-100) for row in traces(5)().rows[:3])
    with pytest.raises(UserError, match=f"would take {longest + 512} tokens.*write at most {512 - longest}"):
        make_pruned(section, ModelSection(unpruned=str(unpruned)), traces(5), tmp_path / "p")


@pytest.mark.parametrize("then", [TAIL, WIDTH.changed(width=8)], ids=["layers", "channels"])
def test_a_narrowed_model_is_cut_further_and_counted_in_the_unpruned_one(
    then: PruneSection, unpruned: Path, traces: Traces, tmp_path: Path
) -> None:
    model = ModelSection(unpruned=str(unpruned))
    first = make_pruned(WIDTH, model, traces(12), tmp_path / "first")
    plan = make_pruned(then.changed(cut_from=str(tmp_path / "first")), model, traces(12), tmp_path / "p")
    before = AutoModelForCausalLM.from_pretrained(unpruned).model.layers
    after = AutoModelForCausalLM.from_pretrained(tmp_path / "p").model.layers
    assert plan.channels is not None and first.channels is not None
    assert check_folder(tmp_path / "p").plan == plan and describe_plan(plan)
    for place, own, layer in zip(plan.kept, plan.channels.kept, after, strict=True):
        assert set(own) <= set(first.channels.kept[place])
        assert torch.equal(layer.mlp.up_proj.weight, before[place].mlp.up_proj.weight[list(own)])


@pytest.mark.parametrize(
    ("first", "then", "message"),
    [
        (WIDTH.changed(widths="by_layer"), TAIL, "differ in width"),
        (LOW_RANK, TAIL, "a lower rank"),
        (WIDTH, LaCoPrune(method="laco", layers=1), "lost different channels"),
    ],
    ids=["by layer", "low rank", "merge"],
)
def test_what_a_second_cut_would_make_untrue_is_refused_without_weights(
    first: PruneSection, then: PruneSection, message: str, unpruned: Path, traces: Traces, tmp_path: Path
) -> None:
    model = ModelSection(unpruned=str(unpruned))
    make_pruned(first, model, traces(12), tmp_path / "first")
    with pytest.raises(UserError, match=f"cut_from=.* it cannot be cut like this: .*{message}"):
        check_request(then.changed(cut_from=str(tmp_path / "first")), model)


REPAIRED = TailPrune(method="tail", layers=2, repair="linear", calibration_traces=8)


def test_a_repaired_cut_differs_by_one_weight_and_says_so(unpruned: Path, traces: Traces, tmp_path: Path) -> None:
    """The layer before the gap is not IDLE, whose MLP gives nothing to map."""
    model = ModelSection(unpruned=str(unpruned))
    make_pruned(TAIL, model, nothing_prepared, tmp_path / "plain")
    plan = make_pruned(REPAIRED, model, traces(12), tmp_path / "repaired")
    plain, repaired = (load_file(tmp_path / name / "model.safetensors") for name in ("plain", "repaired"))
    changed = [name for name in plain if not torch.equal(plain[name], repaired[name])]
    assert (changed, list(plain)) == ([f"model.layers.{LAYERS - 3}.mlp.down_proj.weight"], list(repaired))
    (repair,) = plan.repairs
    assert (repair.layer, repair.removed) == (LAYERS - 3, (LAYERS - 2, LAYERS - 1))
    assert repair.error_after < repair.error_before
    assert (plan.details["calibration_traces"], plan.details["calibration_tokens"]) == (8, repair.tokens)
    assert check_folder(tmp_path / "repaired").plan == plan


def test_a_repaired_folder_is_kept_for_the_same_request_only(unpruned: Path, traces: Traces, tmp_path: Path) -> None:
    model = ModelSection(unpruned=str(unpruned))
    plan = make_pruned(REPAIRED, model, traces(12), tmp_path / "p")
    assert make_pruned(REPAIRED, model, traces(12), tmp_path / "p") == plan
    with pytest.raises(UserError, match="another pruned model"):
        make_pruned(TAIL, model, nothing_prepared, tmp_path / "p")


def test_a_repair_keeps_the_dtype(unpruned: Path, traces: Traces, tmp_path: Path) -> None:
    AutoModelForCausalLM.from_pretrained(unpruned, dtype=torch.bfloat16).save_pretrained(tmp_path / "half")
    load_tokenizer(str(unpruned), ModelSection(unpruned=str(unpruned))).save_pretrained(tmp_path / "half")
    make_pruned(REPAIRED, ModelSection(unpruned=str(tmp_path / "half")), traces(12), tmp_path / "p")
    assert {tensor.dtype for tensor in load_file(tmp_path / "p/model.safetensors").values()} == {torch.bfloat16}
