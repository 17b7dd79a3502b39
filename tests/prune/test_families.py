"""Which models can be cut, and the config of a cut one."""

from __future__ import annotations

import pytest

from prune.families import check_cuttable, cut_values
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
        ("mlp_only_layers", [1]),
        ("first_k_dense_replace", 1),
        ("is_encoder_decoder", True),
    ],
)
def test_config_that_depends_on_a_layers_place_is_refused_by_key(key: str, value: object) -> None:
    model = build("llama")
    setattr(model.config, key, value)
    with pytest.raises(UserError, match=key):
        check_cuttable(model)


def test_hybrid_layers_are_refused() -> None:
    model = build("qwen3")
    model.config.layer_types = ["linear_attention", *["full_attention"] * (LAYERS - 1)]
    with pytest.raises(UserError, match="linear_attention"):
        check_cuttable(model)


def test_model_without_a_layer_list_is_refused() -> None:
    model = build("llama")
    del model.model.layers
    with pytest.raises(UserError, match="model.layers"):
        check_cuttable(model)
