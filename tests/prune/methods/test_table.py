"""Every section that a recipe can hold has a method that keeps to the contract."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from transformers import Qwen2_5_VLConfig

from prune.methods.method import Narrowing
from prune.methods.table import METHODS, check_fits, expected_values, method_of
from recipes.errors import UserError
from recipes.prune import (
    BlockDistancePrune,
    LaCoPrune,
    LayersPrune,
    LowRankPrune,
    PerplexityPrune,
    PruneSection,
    ShortGPTPrune,
    TailPrune,
    WidthPrune,
)
from tests.prune.models import LAYERS, TOKENS, build

SECTIONS = [
    TailPrune(method="tail", layers=2),
    LayersPrune(method="layers", remove=[1, 4]),
    ShortGPTPrune(method="shortgpt", layers=2),
    PerplexityPrune(method="perplexity", layers=2),
    BlockDistancePrune(method="block_distance", layers=2),
    LaCoPrune(method="laco", layers=2, threshold=-1),
]
NARROWING: list[PruneSection] = [
    WidthPrune(method="width", width=16, multiple=8),
    LowRankPrune(method="low_rank", share=0.7, multiple=2),
]
BATCH = {"input_ids": TOKENS, "attention_mask": TOKENS.new_ones(TOKENS.shape), "labels": TOKENS}


def test_every_section_has_a_method() -> None:
    sections = get_args(get_args(PruneSection)[0])
    assert set(METHODS) == set(sections) == {type(section) for section in (*SECTIONS, *NARROWING)}


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.method)
def test_as_many_layers_go_as_the_method_counts(section: PruneSection) -> None:
    method = method_of(section)
    choice = method.choose(build("qwen3"), [BATCH] if method.calibration_traces else [])
    assert len(choice.removed) == method.count == 2


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.method)
def test_a_model_that_is_too_small_is_refused_without_weights(section: PruneSection) -> None:
    with pytest.raises(UserError, match="layers"):
        method_of(section).check(2)


@pytest.mark.parametrize("section", [*SECTIONS, *NARROWING], ids=lambda section: section.method)
def test_choosing_leaves_the_model_as_it_was(section: PruneSection) -> None:
    method, model, untouched = method_of(section), build("qwen3"), build("qwen3").state_dict()
    method.choose(model, [BATCH] if method.calibration_traces else [])
    with torch.no_grad():
        assert torch.equal(model(TOKENS).logits, build("qwen3")(TOKENS).logits)
    assert len(model.model.layers) == LAYERS
    assert all(tensor.equal(untouched[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("section", NARROWING, ids=lambda section: section.method)
def test_a_method_that_narrows_layers_removes_none_and_looks_at_the_config(section: PruneSection) -> None:
    method = method_of(section)
    assert isinstance(method, Narrowing) and method.count == 0


@pytest.mark.parametrize(
    ("section", "values"),
    [
        (TailPrune(method="tail", layers=2), {"num_hidden_layers": LAYERS - 2}),
        (NARROWING[0], {"num_hidden_layers": LAYERS, "intermediate_size": 16}),
        (NARROWING[0].changed(widths="by_layer"), {"num_hidden_layers": LAYERS, "intermediate_size": 24}),
        (NARROWING[1], {"num_hidden_layers": LAYERS}),
    ],
)
def test_the_config_of_the_pruned_model_is_known_before_anything_is_measured(
    section: PruneSection, values: dict[str, int]
) -> None:
    assert expected_values(method_of(section), build("llama").config) == values


def test_a_config_of_another_kind_of_model_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="'qwen2_5_vl' has no number of layers"):
        check_fits(method_of(TailPrune(method="tail", layers=1)), Qwen2_5_VLConfig())


def test_whether_a_method_fits_is_known_before_weights_are_loaded() -> None:
    with pytest.raises(UserError, match="prune.width=32: the model has 24 channels"):
        check_fits(method_of(WidthPrune(method="width", width=32, multiple=8)), build("llama").config)
