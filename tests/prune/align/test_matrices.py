"""Which matrices a folder holds, from config and headers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file

from data_prep.weight_files import Tensor
from prune.align.matrices import Group, adapter_matrices, model_matrices, read_matrices
from recipes.errors import UserError
from tests.prune.models import LAYERS, build


def stored(**shapes: tuple[int, ...]) -> dict[str, Tensor]:
    return {name.replace("__", "."): Tensor("model.safetensors", shape, "BF16") for name, shape in shapes.items()}


def test_a_llama_is_told_by_kind(tmp_path: Path) -> None:
    build("llama").save_pretrained(tmp_path)
    matrices = read_matrices(tmp_path)
    assert (matrices.head_sizes, matrices.vocabulary, matrices.ranks) == ((8,), 53, ())
    assert matrices.groups == (
        Group("q", 16, 16, LAYERS),
        Group("k", 8, 16, LAYERS),
        Group("v", 8, 16, LAYERS),
        Group("o", 16, 16, LAYERS),
        Group("gate", 24, 16, LAYERS),
        Group("up", 24, 16, LAYERS),
        Group("down", 16, 24, LAYERS),
        Group("embedding", 53, 16, 1),
        Group("head", 53, 16, 1),
    )


def test_all_parameters_but_vectors_are_counted(tmp_path: Path) -> None:
    model = build("gemma3")
    model.save_pretrained(tmp_path)
    expected = sum(p.numel() for p in model.parameters() if p.dim() == 2)
    assert sum(group.parameters for group in read_matrices(tmp_path).groups) == expected


def test_layers_of_other_widths_are_groups_of_their_own() -> None:
    tensors = stored(model__layers__0__mlp__up_proj__weight=(24, 16), model__layers__1__mlp__up_proj__weight=(20, 16))
    assert model_matrices({}, tensors).groups == (Group("up", 20, 16, 1), Group("up", 24, 16, 1))


@pytest.mark.parametrize(
    "tensors",
    [
        stored(model__layers__0__mlp__experts__gate_up_proj=(4, 32, 16)),
        {f"model.layers.0.mlp.experts.{i}.gate_up_proj.weight": Tensor("f", (32, 16), "F32") for i in range(4)},
    ],
    ids=["stacked", "one by one"],
)
def test_experts_are_counted_one_by_one(tensors: dict[str, Tensor]) -> None:
    assert model_matrices({}, tensors).groups == (Group("expert gate and up in one", 32, 16, 4),)


def test_a_router_does_not_pass_for_a_gate() -> None:
    assert model_matrices({}, stored(model__layers__0__mlp__gate__weight=(4, 16))).groups == (
        Group("mlp.gate", 4, 16, 1),
    )


def test_kernels_of_convolutions_and_vectors_are_no_matrices() -> None:
    assert model_matrices({}, stored(model__layers__0__conv__weight=(16, 1, 4), model__norm__weight=(16,))).groups == ()


def test_head_size_is_the_hidden_size_shared_among_the_heads_where_none_is_written() -> None:
    assert model_matrices({"hidden_size": 2048, "num_attention_heads": 16}, {}).head_sizes == (128,)


def test_a_model_with_images_is_told_by_its_text_part() -> None:
    assert model_matrices({"hidden_size": 7, "text_config": {"head_dim": 64}}, {}).head_sizes == (64,)


def test_an_adapter_folder_gives_its_rank_and_its_factors(tmp_path: Path) -> None:
    get_peft_model(build("llama"), LoraConfig(r=6, target_modules=["up_proj"])).save_pretrained(tmp_path)
    matrices = read_matrices(tmp_path)
    assert (matrices.ranks, matrices.vocabulary) == ((6,), None)
    assert matrices.groups == (Group("up lora_A", 6, 16, LAYERS), Group("up lora_B", 24, 6, LAYERS))


def test_ranks_that_differ_by_module_are_all_told() -> None:
    tensors = stored(a__q_proj__lora_A__weight=(8, 16), a__k_proj__lora_A__weight=(4, 16))
    assert adapter_matrices({"r": 8}, tensors).ranks == (4, 8)


def test_an_adapter_of_another_kind_is_refused() -> None:
    with pytest.raises(UserError, match="no rank r"):
        adapter_matrices({"peft_type": "IA3"}, {})


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        read_matrices(tmp_path / "nowhere")


def test_an_adapter_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 8}))
    with pytest.raises(UserError, match="adapter_model.safetensors is missing"):
        read_matrices(tmp_path)


def test_quantised_weights_are_marked(tmp_path: Path) -> None:
    save_file(
        {"model.layers.0.mlp.up_proj.weight": torch.zeros(4, 2, dtype=torch.uint8)}, tmp_path / "model.safetensors"
    )
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": {"quant_method": "gptq"}}))
    assert read_matrices(tmp_path).quantised
