"""Angular distances over blocks of layers against plain numpy, and the block that goes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from prune.methods.block_distance import SELECT, BlockDistance, block_distances, last_tokens
from recipes.errors import UserError
from recipes.prune import BlockDistancePrune
from tests.prune.models import FAMILIES, LAYERS, TOKENS, build

LENGTHS = (11, 7)
"""real tokens of the two rows"""


def batch() -> dict[str, torch.Tensor]:
    mask = (torch.arange(TOKENS.shape[1]) < torch.tensor(LENGTHS)[:, None]).long()
    return {"input_ids": TOKENS * mask, "attention_mask": mask}


def states(model: PreTrainedModel) -> list[np.ndarray]:
    """What enters each layer and what leaves the last one, by row: [LAYERS + 1, tokens, hidden]."""
    rows = []
    for row, length in zip(TOKENS, LENGTHS, strict=True):
        last: list[torch.Tensor] = []
        hook = model.model.norm.register_forward_pre_hook(lambda _module, given, last=last: last.append(given[0]))
        with torch.no_grad():
            inputs = model(row[None, :length], output_hidden_states=True, use_cache=False).hidden_states[:-1]
        hook.remove()
        rows.append(np.stack([state[0].numpy().astype(np.float64) for state in (*inputs, last[0])]))
    return rows


def angles(rows: list[np.ndarray], layers: int, tokens: slice) -> list[float]:
    """By first layer of the block: the mean over the tokens of all rows, as a share of pi."""
    means = []
    for first in range(LAYERS - layers + 1):
        values: list[float] = []
        for row in rows:
            a, b = row[first][tokens], row[first + layers][tokens]
            cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
            values += list(np.arccos(cosine) / np.pi)
        means.append(float(np.mean(values)))
    return means


@pytest.mark.parametrize(("tokens", "taken"), [("last", slice(-1, None)), ("all", slice(None))])
@pytest.mark.parametrize("family", FAMILIES)
def test_distances_are_those_of_plain_numpy(family: str, tokens: str, taken: slice) -> None:
    model = build(family)
    measured = block_distances(model, [batch()], 2, SELECT[tokens])
    assert measured == pytest.approx(angles(states(model), 2, taken), abs=1e-6)


@pytest.mark.parametrize("layers", [1, 3, 5])
def test_the_block_of_least_distance_goes(layers: int) -> None:
    model = build("llama")
    expected = angles(states(model), layers, slice(-1, None))
    first = expected.index(min(expected))
    choice = BlockDistance(BlockDistancePrune(method="block_distance", layers=layers)).choose(model, [batch()])
    assert choice.removed == tuple(range(first, first + layers))
    assert choice.details["distances"] == pytest.approx(expected, abs=1e-6)


def test_the_score_of_a_layer_is_that_of_its_best_block() -> None:
    model = build("qwen3")
    choice = BlockDistance(BlockDistancePrune(method="block_distance", layers=3)).choose(model, [batch()])
    d = choice.details["distances"]
    best = [d[0], min(d[:2]), min(d[:3]), min(d[1:]), min(d[2:]), d[3]]
    assert choice.scores == pytest.approx(best, abs=0)


class Turn(torch.nn.Module):
    """A layer that turns the first two coordinates by an angle and drops the others."""

    def __init__(self, angle: float) -> None:
        super().__init__()
        self.cos, self.sin = math.cos(angle), math.sin(angle)

    def forward(self, hidden_states: torch.Tensor, **_: object) -> torch.Tensor:
        x, y = hidden_states[..., :1], hidden_states[..., 1:2]
        turned = torch.cat([self.cos * x - self.sin * y, self.sin * x + self.cos * y], dim=-1)
        return torch.nn.functional.pad(turned, (0, hidden_states.shape[-1] - 2))


def test_turns_by_known_angles_add_up() -> None:
    model, turns = build("llama"), [0.1, 0.7, 0.3, 0.2, 0.9, 0.5]
    model.model.layers = torch.nn.ModuleList(Turn(angle) for angle in turns)
    with torch.no_grad():
        model.model.embed_tokens.weight[:, 2:] = 0
    # the cosine of an angle is even: 0.1 + 0.7 and so on, in shares of pi
    expected = [0.8 / math.pi, 1.0 / math.pi, 0.5 / math.pi, 1.1 / math.pi, 1.4 / math.pi]
    assert block_distances(model, [batch()], 2, SELECT["all"]) == pytest.approx(expected, abs=1e-6)


def test_last_tokens_are_those_before_the_padding() -> None:
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    assert last_tokens(mask).tolist() == [[False, False, True], [True, False, False]]


def test_the_last_token_of_every_trace_weighs_the_same_whatever_its_batch() -> None:
    model = build("qwen3")
    one = {name: tensor[:1] for name, tensor in batch().items()}
    two = {name: tensor[1:] for name, tensor in batch().items()}
    apart = block_distances(model, [one, two], 2, SELECT["last"])
    assert apart == pytest.approx(block_distances(model, [batch()], 2, SELECT["last"]), abs=1e-6)


def test_no_trace_is_refused() -> None:
    with pytest.raises(UserError, match="no calibration tokens"):
        block_distances(build("llama"), [], 2, SELECT["last"])


def test_hooks_are_gone_afterwards() -> None:
    model = build("qwen3")
    block_distances(model, [batch()], 1, SELECT["last"])
    hooks = [hook for layer in model.model.layers for hook in (*layer._forward_hooks, *layer._forward_pre_hooks)]
    assert hooks == []


@pytest.mark.parametrize("count", [6, 7])
def test_removing_everything_is_refused(count: int) -> None:
    with pytest.raises(UserError, match=f"{count} of 6 layers"):
        BlockDistance(BlockDistancePrune(method="block_distance", layers=count)).check(LAYERS)
