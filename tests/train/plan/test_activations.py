"""Activations that are counted without storage are those of a real pass."""

from __future__ import annotations

import pytest
import torch
from transformers import AttentionInterface, PreTrainedModel
from trl.trainer.utils import _CHUNKED_LOGPROB_CHUNK_SIZE

from data_prep.models import load_model
from recipes.loader import load
from recipes.schema import Recipe
from tests.train.runs import MODEL
from train.plan.activations import Activations, MicroBatch, measure_activations
from train.sizes import skeleton

FULL = ["recipe=full_recovery.yaml"]


def measured(recipe: Recipe, batch: MicroBatch) -> Activations:
    return measure_activations(skeleton(recipe.model, recipe.prune, recipe.adapter), batch, "cpu")


def saved_bytes(model: PreTrainedModel, batch: MicroBatch) -> int:
    """What autograd keeps of a real forward pass beside the weights."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    storages: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    ids, mask = torch.ones(batch.rows, batch.tokens, dtype=torch.long), None
    if batch.padded:
        mask = torch.ones_like(ids)
        mask[0, -1] = 0
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden = model.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    assert hidden.requires_grad
    return sum(storages.values())


@pytest.mark.parametrize("padded", [False, True])
def test_activations_are_those_of_a_real_forward_pass(padded: bool) -> None:
    recipe = load([*FULL, "model.pruned=data_prep/nano_model", "prune=null"])
    batch = MicroBatch(4, 64, padded, checkpointing=False)
    real = saved_bytes(load_model(str(MODEL), recipe.model).train(), batch)
    assert measured(recipe, batch).saved == pytest.approx(real, rel=0.05)


def test_recomputing_keeps_the_inputs_of_layers_alone() -> None:
    recipe, batch = load(FULL), MicroBatch(4, 64, padded=False, checkpointing=True)
    inputs = 6 * 4 * 64 * 64 * 4  # layers, rows, tokens, hidden size, float32
    saved = measured(recipe, batch).saved
    assert inputs <= saved < 2 * inputs


def test_what_transformers_knows_of_attention_stays_as_it_is() -> None:
    recipe, before = load(FULL), dict(AttentionInterface._global_mapping)
    for padded in (True, False):
        measured(recipe, MicroBatch(2, 16, padded, checkpointing=False))
    assert dict(AttentionInterface._global_mapping) == before


def test_a_head_on_a_gpu_is_a_tile_and_its_gradients_by_hand() -> None:
    recipe = load([*FULL, "model.dtype=bfloat16"])
    models = skeleton(recipe.model, recipe.prune, recipe.adapter)
    vocabulary, hidden = models.pruned.get_output_embeddings().weight.shape
    activations = measure_activations(models, MicroBatch(2, 11, False, checkpointing=True), "cuda")
    # 20 positions against the width of a tile of 2 bytes; gradients in float32 beside their cast: 6 bytes
    tile = 20 * _CHUNKED_LOGPROB_CHUNK_SIZE * 2
    assert activations.head == tile + 6 * 20 * hidden + 6 * vocabulary * hidden
    assert activations.head_gradient == 2 * vocabulary * hidden
