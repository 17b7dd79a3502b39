"""Which models can be cut, and the config of a cut one."""

from __future__ import annotations

import pytest
from transformers import (
    DeepseekV3Config,
    FalconMambaConfig,
    Gemma3nConfig,
    Gemma3nTextConfig,
    Gemma4TextConfig,
    Lfm2Config,
    LlamaConfig,
    Mamba2Config,
    MambaConfig,
    PreTrainedConfig,
    Qwen3MoeConfig,
    ViTConfig,
)

from prune.families import check_attends, check_cuttable, check_family, cut_values, empty_model
from recipes.errors import UserError
from tests.prune.models import FAMILIES, LAYERS, MIXED, build


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_with_a_builder_can_be_cut(family: str) -> None:
    assert check_cuttable(build(family)) is None


def test_per_layer_lists_keep_the_entries_of_the_kept_layers() -> None:
    values = cut_values(build("qwen2_mixed").config, (0, 1, 3))
    assert values["layer_types"] == [MIXED[0], MIXED[1], MIXED[3]]


def test_the_number_of_layers_is_that_of_the_kept_ones() -> None:
    assert cut_values(build("llama").config, (0, 5))["num_hidden_layers"] == 2


def test_max_window_layers_counts_the_kept_layers_among_the_first() -> None:
    assert cut_values(build("qwen2_derived").config, (0, 2, 3, 5))["max_window_layers"] == 2


def test_unknown_list_with_one_entry_a_layer_is_refused_by_name() -> None:
    model = build("llama")
    model.config.rope_factor_by_layer = [1.0] * LAYERS
    with pytest.raises(UserError, match="rope_factor_by_layer"):
        check_cuttable(model)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_kv_shared_layers", 2),
        ("scale_attn_by_inverse_layer_idx", True),
        ("decoder_sparse_step", 2),
        ("moe_layer_freq", 2),
        ("hidden_size_per_layer_input", 8),
        ("is_encoder_decoder", True),
    ],
)
def test_config_that_depends_on_a_layers_place_is_refused_by_key(key: str, value: object) -> None:
    model = build("llama")
    setattr(model.config, key, value)
    with pytest.raises(UserError, match=key):
        check_cuttable(model)


def test_layers_of_a_kind_that_is_not_known_are_refused() -> None:
    model = build("qwen3")
    model.config.layer_types = ["hybrid", *["full_attention"] * (LAYERS - 1)]
    with pytest.raises(UserError, match="hybrid"):
        check_cuttable(model)


@pytest.mark.parametrize(
    "config",
    [Gemma3nTextConfig(), Gemma3nConfig(), Gemma4TextConfig(), MambaConfig(), Mamba2Config(), FalconMambaConfig()],
    ids=lambda config: str(config.model_type),
)
def test_families_that_are_not_cut_are_refused_by_name(config: PreTrainedConfig) -> None:
    with pytest.raises(UserError, match=config.model_type):
        check_family(config)


def of_experts(**more: object) -> PreTrainedConfig:
    return Qwen3MoeConfig(num_hidden_layers=6, **more)


@pytest.mark.parametrize(("kept", "dense"), [((0, 1, 3), 2), ((2, 3), 0), ((1, 2, 5), 1)])
def test_the_first_dense_layers_are_those_that_are_kept(kept: tuple[int, ...], dense: int) -> None:
    config = DeepseekV3Config(num_hidden_layers=6, first_k_dense_replace=2)
    assert cut_values(config, kept)["first_k_dense_replace"] == dense


def test_indices_of_layers_become_their_new_ones() -> None:
    assert cut_values(of_experts(mlp_only_layers=[1, 4]), (0, 1, 3, 4))["mlp_only_layers"] == [1, 3]


def test_experts_in_every_second_layer_become_the_layers_without_any() -> None:
    # of six layers 1, 3 and 5 have experts by the step, and 3 has none by its index
    values = cut_values(of_experts(decoder_sparse_step=2, mlp_only_layers=[3]), (1, 2, 3, 5))
    assert (values["decoder_sparse_step"], values["mlp_only_layers"]) == (1, [1, 2])


def test_model_without_a_layer_list_is_refused() -> None:
    model = build("llama")
    del model.model.layers
    with pytest.raises(UserError, match="model.layers"):
        check_cuttable(model)


def test_an_empty_model_has_the_modules_but_no_storage() -> None:
    model = empty_model(build("llama").config)
    assert (model.model.layers[0].mlp.up_proj.weight.shape, model.device.type) == ((24, 16), "meta")


def test_what_is_no_text_model_cannot_be_built() -> None:
    with pytest.raises(UserError, match="'vit' cannot be cut: transformers builds no text model"):
        empty_model(ViTConfig())


@pytest.mark.parametrize(("kept", "attends"), [((0, 1, 2), True), ((0, 2, 3, 5), False)])
def test_a_hybrid_keeps_a_layer_that_attends(kept: tuple[int, ...], attends: bool) -> None:
    config = Lfm2Config(num_hidden_layers=6, full_attn_idxs=[1, 4])
    if attends:
        assert check_attends(config, kept) is None
        return
    with pytest.raises(UserError, match=r"in the unpruned model layers \[1, 4\] do"):
        check_attends(config, kept)


def test_a_model_without_kinds_of_layers_attends() -> None:
    assert check_attends(LlamaConfig(), (0,)) is None
