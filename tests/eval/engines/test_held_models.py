"""Which families the engine in process refuses by their config."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import (
    Gemma3nTextConfig,
    JambaConfig,
    Llama4TextConfig,
    MambaConfig,
    Phi3Config,
    RwkvConfig,
)

from eval.engines.held_models import check_held
from recipes.engines import HFEngine, VllmEngine
from recipes.errors import UserError
from tests.prune.every_family import EVERY

STATEFUL = {
    "jamba": (JambaConfig(), "linear_attention"),
    "mamba": (MambaConfig(), "linear_attention"),
    "rwkv": (RwkvConfig(), "rwkv keeps a state"),
    "gemma3n": (Gemma3nTextConfig(), "share keys and values"),
}


@pytest.mark.parametrize("family", STATEFUL)
def test_a_family_with_another_state_is_refused_by_name(family: str) -> None:
    config, why = STATEFUL[family]
    with pytest.raises(UserError, match=rf"cannot sweep some/model: .*{why}.*sweep.engine.name=vllm") as refusal:
        check_held(HFEngine(), "some/model", config)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("family", [*EVERY, "llama4"])
def test_the_families_of_the_matrix_are_held(family: str) -> None:
    check_held(HFEngine(), "some/model", EVERY[family]() if family in EVERY else Llama4TextConfig())


def test_an_engine_of_its_own_process_is_not_asked() -> None:
    check_held(VllmEngine(name="vllm"), "some/model", MambaConfig())


CHUNKED = Llama4TextConfig(attention_chunk_size=8192)
LONGROPE = Phi3Config(
    original_max_position_embeddings=4096,
    rope_parameters={
        "rope_type": "longrope",
        "rope_theta": 1e4,
        "short_factor": [1.0] * 48,
        "long_factor": [2.0] * 48,
        "original_max_position_embeddings": 4096,
    },
)


@pytest.mark.parametrize(
    ("config", "border", "words"),
    [(CHUNKED, 8192, "in chunks of 8192 tokens"), (LONGROPE, 4096, "beyond 4096 tokens its longrope")],
    ids=["chunks", "longrope"],
)
def test_a_border_is_refused_from_the_first_token_beyond_it(config: Any, border: int, words: str) -> None:
    check_held(HFEngine(), "some/model", config, border)
    with pytest.raises(UserError, match=rf"cannot sweep some/model: .*{words}.* {border + 1} with its prompt; use"):
        check_held(HFEngine(), "some/model", config, border + 1)


def test_a_chunk_size_without_such_layers_is_no_border() -> None:
    check_held(HFEngine(), "some/model", Llama4TextConfig(layer_types=["full_attention"] * 48), 10**6)
