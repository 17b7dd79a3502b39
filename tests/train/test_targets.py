"""Targets of an adapter against a model without storage: each names modules, and none is the head or tied to it."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from recipes.errors import UserError
from train.targets import check_targets


@cache
def model(tied: bool) -> PreTrainedModel:
    with torch.device("meta"):
        return Qwen3ForCausalLM(
            Qwen3Config(
                vocab_size=32,
                hidden_size=16,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=1,
                head_dim=8,
                intermediate_size=24,
                tie_word_embeddings=tied,
            )
        )


@pytest.mark.parametrize(
    "targets",
    [
        "all-linear",
        ["q_proj", "down_proj"],
        ["layers.1.self_attn.q_proj"],
        ["model.layers.0.mlp.up_proj"],
        r".*\.(q|v)_proj",
    ],
)
def test_targets_that_are_there_are_sound(targets: str | list[str]) -> None:
    check_targets(model(tied=True), targets)


def test_an_embedding_that_is_not_tied_may_have_an_adapter() -> None:
    check_targets(model(tied=False), ["embed_tokens"])


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (["q_proj", "v_projj"], "'v_projj' names no module of this model; did you mean v_proj"),
        (["q_proj", "roj"], "'roj' names no module"),
        (["layers.2.self_attn.q_proj"], "names no module"),
        (["all-linear"], "use adapter.targets=all-linear, not in a list"),
        ("q_proj", r"a list of names \(adapter.targets=\[q_proj\]\)"),
        (r".*\.(q|v_proj", "not a regular expression"),
        ([], "adapter.targets is empty"),
        ("", "adapter.targets is empty"),
        (["q_proj", "lm_head"], r"'lm_head' names the head \(lm_head\)"),
        (["q_proj", "embed_tokens"], r"'embed_tokens' names the embedding \(model.embed_tokens\), which is tied"),
        (r".*embed.*", "names the embedding"),
    ],
)
def test_others_are_refused_by_name(targets: str | list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_targets(model(tied=True), targets)


def test_the_head_is_refused_though_it_has_weights_of_its_own() -> None:
    with pytest.raises(UserError, match="names the head"):
        check_targets(model(tied=False), ["lm_head"])
