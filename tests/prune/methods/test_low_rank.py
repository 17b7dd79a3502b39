"""Ranks that are chosen: within the budget, aligned, and dense where that is better."""

from __future__ import annotations

import pytest
import torch
from transformers import GPT2Config, MixtralConfig

from prune.align.ranks import rank_costs
from prune.methods.low_rank import LowRank, projections
from recipes.errors import UserError
from recipes.prune import LowRankPrune
from tests.prune.models import LAYERS, SHAPE, TOKENS, build

BATCH = {"input_ids": TOKENS, "attention_mask": torch.ones_like(TOKENS)}
SHAPES = {"easy": (8, 8), "hard": (8, 8)}


def method(share: float, multiple: int = 2) -> LowRank:
    return LowRank(LowRankPrune(method="low_rank", share=share, multiple=multiple))


def test_a_matrix_that_would_lose_much_stays_dense() -> None:
    """64 + 32 of 128 parameters: the one of one direction takes rank 2, the even one its full rank."""
    energies = {"easy": [1.0, *[0.0] * 7], "hard": [1.0] * 8}
    assert method(0.75).ranks(SHAPES, energies) == {"easy": 2}


def test_a_share_below_the_lowest_ranks_is_refused() -> None:
    with pytest.raises(
        UserError, match="prune.share=0.4: this allows 51 parameters, but with the lowest ranks .*multiple=2 .* have 64"
    ):
        method(0.4).ranks(SHAPES, {"easy": [0.0] * 8, "hard": [0.0] * 8})


@pytest.mark.parametrize("family", ["qwen3", "llama"])
def test_the_choice_is_aligned_and_within_the_budget(family: str) -> None:
    model = build(family)
    choice = method(0.6).choose(model, [BATCH])
    shapes = {name: linear.weight.shape for name, linear in projections(model).items()}
    costs = [rank_costs(*shape, [choice.ranks.get(name, min(shape))])[0] for name, shape in shapes.items()]
    assert sum(costs) <= 0.6 * sum(rows * columns for rows, columns in shapes.values())
    assert choice.ranks and all(rank % 2 == 0 for rank in choice.ranks.values())


def test_attention_and_mlp_of_every_layer_are_taken() -> None:
    assert len(projections(build("llama"))) == 7 * LAYERS


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (MixtralConfig(**SHAPE), "'mixtral' is not supported: it has experts"),
        (GPT2Config(n_layer=1, n_embd=16, n_head=2, vocab_size=53), "'gpt2' cannot be cut"),
    ],
)
def test_a_model_without_such_layers_is_refused_without_weights(config: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        method(0.6).check_config(config)


def test_an_impossible_share_is_refused_without_weights() -> None:
    with pytest.raises(UserError, match="prune.share=0.01"):
        method(0.01).check_config(build("llama").config)
