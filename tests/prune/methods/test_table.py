"""Every section that a recipe can hold has a method that keeps to the contract."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from prune.methods.table import METHODS, method_of
from recipes.errors import UserError
from recipes.prune import (
    BlockDistancePrune,
    LaCoPrune,
    LayersPrune,
    PerplexityPrune,
    PruneSection,
    ShortGPTPrune,
    TailPrune,
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
BATCH = {"input_ids": TOKENS, "attention_mask": TOKENS.new_ones(TOKENS.shape), "labels": TOKENS}


def test_every_section_has_a_method() -> None:
    sections = get_args(get_args(PruneSection)[0])
    assert set(METHODS) == set(sections) == {type(section) for section in SECTIONS}


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.method)
def test_as_many_layers_go_as_the_method_counts(section: PruneSection) -> None:
    method = method_of(section)
    choice = method.choose(build("qwen3"), [BATCH] if method.calibration_traces else [])
    assert len(choice.removed) == method.count == 2


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.method)
def test_a_model_that_is_too_small_is_refused_without_weights(section: PruneSection) -> None:
    with pytest.raises(UserError, match="layers"):
        method_of(section).check(2)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.method)
def test_choosing_leaves_the_model_as_it_was(section: PruneSection) -> None:
    method, model, untouched = method_of(section), build("qwen3"), build("qwen3").state_dict()
    method.choose(model, [BATCH] if method.calibration_traces else [])
    with torch.no_grad():
        assert torch.equal(model(TOKENS).logits, build("qwen3")(TOKENS).logits)
    assert len(model.model.layers) == LAYERS
    assert all(tensor.equal(untouched[name]) for name, tensor in model.state_dict().items())
