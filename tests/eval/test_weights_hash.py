"""The mark of weights in memory: equal for equal bits, another for any change."""

from __future__ import annotations

import pytest
import torch
from transformers import PreTrainedModel

from eval.weights_hash import weights_hash
from tests.eval.worlds import fresh_nano, nano


def test_equal_weights_have_equal_marks() -> None:
    assert weights_hash(fresh_nano()) == weights_hash(nano())


def test_weights_in_another_dtype_have_another_mark() -> None:
    assert weights_hash(fresh_nano().bfloat16()) != weights_hash(nano())


@pytest.mark.parametrize("layers", [7, 8])
def test_a_mark_says_which_layers_there_are(layers: int) -> None:
    assert (weights_hash(fresh_nano(layers)) == weights_hash(nano())) == (layers == 8)


def last_bit(model: PreTrainedModel) -> None:
    values = model.model.layers[3].mlp.up_proj.weight.view(torch.int32)
    values[5, 7] ^= 1


def two_swapped(model: PreTrainedModel) -> None:
    weight = model.model.layers[3].mlp.up_proj.weight
    weight[0, 0], weight[0, 1] = weight[0, 1].clone(), weight[0, 0].clone()


@pytest.mark.parametrize("change", [last_bit, two_swapped])
def test_the_smallest_change_changes_the_mark(change: object) -> None:
    model = fresh_nano()
    with torch.no_grad():
        change(model)  # type: ignore[operator]
    assert weights_hash(model) != weights_hash(nano())
