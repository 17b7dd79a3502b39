"""What a distillation takes beside plain training, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from recipes.loader import load
from recipes.schema import Recipe
from tests.train.runs import small
from train.plan.activations import Activations, MicroBatch
from train.plan.teaching import teacher_of, with_divergence
from train.sizes import skeleton

BATCH = MicroBatch(rows=2, tokens=9, padded=False, checkpointing=False)
SEEN = Activations(saved=1, backward=2, layer=3, head=1000, head_gradient=5)


def recipe(*overrides: str) -> Recipe:
    made: Recipe = load(small("distill", Path("run"), Path("cache"), *overrides))
    return made


def test_the_teacher_is_the_unpruned_model_in_the_dtype_of_the_recipe() -> None:
    made = recipe()
    teacher = teacher_of(made, BATCH, 4)
    sizes = skeleton(made.model, made.prune, made.adapter).sizes
    assert teacher is not None and (teacher.parameters, teacher.held) == (sizes.unpruned, 4 * sizes.unpruned)
    assert teacher.forward > 2 * 9 * 96 * 4  # at least its hidden states


def test_a_sharded_teacher_takes_a_share_on_every_rank() -> None:
    made = recipe("zero.stage=3", "loss.teacher.zero=true")
    teacher = teacher_of(made, BATCH, 4)
    assert teacher is not None and teacher.held == pytest.approx(teacher.parameters, abs=4)


def test_an_offloaded_teacher_leaves_its_head_on_the_device() -> None:
    teacher = teacher_of(recipe("loss.teacher.offload=cpu"), BATCH, 1)
    assert teacher is not None and teacher.held == 4 * (teacher.parameters - teacher.elsewhere)
    assert teacher.fetched == 4 * teacher.elsewhere > teacher.held


@pytest.mark.parametrize("keys", [("loss.teacher.logits=taught",), ("loss.weight=0", "loss.nll_weight=1")])
def test_where_none_is_loaded_none_is_counted(keys: tuple[str, ...]) -> None:
    assert teacher_of(recipe(*keys), BATCH, 1) is None


def test_the_loss_holds_two_tiles_both_gradients_and_what_the_teacher_says() -> None:
    weight = torch.empty(100, 8, device="meta", requires_grad=True)  # 16 positions, 100 tokens, 8 states
    found = with_divergence(SEEN, recipe(), weight, BATCH).head
    assert found == 2 * 16 * 100 * 4 + 16 * 8 * (4 + 4) + 100 * 8 * (4 + 4) + 16 * 8 * 4


def test_the_likelihood_beside_it_adds_its_own() -> None:
    weight = torch.empty(100, 8, device="meta")
    alone, beside = (
        with_divergence(SEEN, recipe(*keys), weight, BATCH).head for keys in ((), ("loss.nll_weight=0.5",))
    )
    assert beside - alone == 1000
