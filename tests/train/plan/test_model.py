"""A model without weights has the parameters of the real one, and its activations are those of a real pass."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from data_prep.models import load_model
from recipes.errors import UserError
from recipes.loader import load
from tests.train.runs import MODEL
from train.plan.model import Batch, PlannedModel

FULL = ["recipe=full_recovery.yaml"]
QWEN3_32B = {  # as published at Qwen/Qwen3-32B
    "model_type": "qwen3",
    "architectures": ["Qwen3ForCausalLM"],
    "vocab_size": 151_936,
    "hidden_size": 5120,
    "num_hidden_layers": 64,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 25_600,
    "max_position_embeddings": 40_960,
    "tie_word_embeddings": False,
}
QWEN3_8B = {
    **QWEN3_32B,
    "hidden_size": 4096,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "intermediate_size": 12_288,
}


def config_folder(folder: Path, config: dict[str, object]) -> str:
    """A model's folder with nothing but its config."""
    (folder / "config.json").write_text(json.dumps(config))
    return f"model.unpruned={folder}"


@pytest.mark.parametrize(("config", "parameters"), [(QWEN3_8B, 8_190_735_360), (QWEN3_32B, 32_762_123_264)])
def test_a_config_alone_gives_the_published_number_of_parameters(
    tmp_path: Path, config: dict[str, object], parameters: int
) -> None:
    model = PlannedModel(load(["recipe=qwen3_8b_full.yaml", config_folder(tmp_path, config)]))
    layer = (parameters - 2 * 151_936 * int(str(config["hidden_size"])) - int(str(config["hidden_size"]))) // int(
        str(config["num_hidden_layers"])
    )
    assert (model.sizes.unpruned, model.sizes.total) == (parameters, parameters - 2 * layer)


def test_an_adapter_alone_is_trainable() -> None:
    recipe = load(["recipe=lora_recovery.yaml"])
    sizes = PlannedModel(recipe).sizes
    layer = 16 * ((64 + 128) + 2 * (64 + 64) + (128 + 64) + 3 * (64 + 192))  # q, k and v, o, MLP: r (in + out)
    assert (sizes.trainable, sizes.total - sizes.trainable) == (6 * layer, 377_024)


def test_a_model_that_is_nowhere_is_the_users_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no model at 'nowhere/at-all-'"):
        PlannedModel(load([*FULL, "model.unpruned=nowhere/at-all-"]))


def saved_bytes(model: PreTrainedModel, batch: Batch) -> int:
    """What autograd keeps of a real forward pass beside the weights."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    ids, mask = torch.ones(batch.rows, batch.tokens, dtype=torch.long), None
    if batch.padded:
        mask = torch.ones_like(ids)
        mask[0, -1] = 0
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden = model.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    assert hidden.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("padded", [False, True])
def test_activations_are_those_of_a_real_forward_pass(padded: bool) -> None:
    recipe = load([*FULL, "model.pruned=data_prep/nano_model", "prune=null"])
    batch = Batch(4, 64, padded, checkpointing=False)
    real = saved_bytes(load_model(str(MODEL), recipe.model).train(), batch)
    assert PlannedModel(recipe).activations(batch, "cpu").saved == pytest.approx(real, rel=0.05)


def test_recomputing_keeps_the_inputs_of_layers_alone() -> None:
    recipe, batch = load(FULL), Batch(4, 64, padded=False, checkpointing=True)
    inputs = 6 * 4 * 64 * 64 * 4  # layers, rows, tokens, hidden size, float32
    saved = PlannedModel(recipe).activations(batch, "cpu").saved
    assert inputs <= saved < 2 * inputs
