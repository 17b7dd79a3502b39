"""The engine against the model's own forward: what agrees is swept, left-over windows are seen through."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    GptOssConfig,
    Llama4TextConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedModel,
)

from eval.engines.hf import HFEngine
from eval.engines.own_forward import agreed_windows, limits_of, probe_lengths
from eval.quiet import quiet
from eval.types import Thought
from recipes.errors import UserError
from tests.eval.engines.test_hf import SHORT, by_forward
from tests.eval.scripted import by_budget, make_protocol
from tests.eval.worlds import fresh_nano
from tests.prune.models import SHAPE, build

LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10_000.0,
    "short_factor": [1.0] * 4,
    "long_factor": [1.0, 3.0, 5.0, 8.0],
    "original_max_position_embeddings": 24,
    "factor": 2.0,
}
CHUNKED = {
    "num_local_experts": 2,
    "num_experts_per_tok": 1,
    "intermediate_size_mlp": 24,
    "attention_chunk_size": 16,
    "moe_layers": [1, 3],
}


def model_of(config: Any) -> PreTrainedModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(config).eval()


def agreed(model: PreTrainedModel, reach: int = 60) -> dict[str, int | None]:
    with quiet(model), torch.inference_mode():
        return dict(agreed_windows(model, 53, reach))


@pytest.mark.parametrize(
    ("config", "windows"),
    [
        (LlamaConfig(**SHAPE, sliding_window=16), {"full_attention": None}),
        (MistralConfig(**SHAPE, sliding_window=16, use_sliding_window=False), {"full_attention": 16}),
    ],
    ids=["llama has none", "mistral has one"],
)
def test_a_window_left_in_a_config_is_read_as_the_model_reads_it(config: Any, windows: dict[str, int | None]) -> None:
    assert agreed(model_of(config)) == windows


def test_a_sweep_of_a_model_with_a_left_over_window_equals_its_own_forwards() -> None:
    model, protocol = model_of(LlamaConfig(**SHAPE, sliding_window=4)), make_protocol([0, 5, 11], vocabulary_size=53)
    with quiet(model):
        thoughts = [one for one in HFEngine(model, protocol, 2).think(SHORT) if isinstance(one, Thought)]
    assert {(one.problem, one.sample): by_budget(one) for one in thoughts} == by_forward(model, protocol)


@pytest.mark.parametrize("family", ["qwen2_mixed", "gemma2", "gemma3", "smollm3"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_rounding_is_no_difference(family: str, dtype: torch.dtype) -> None:
    agreed(build(family).to(dtype))  # type: ignore[arg-type]


def test_attention_sinks_are_heeded() -> None:
    model = model_of(GptOssConfig(**SHAPE, sliding_window=16, num_local_experts=4, num_experts_per_tok=2))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "sinks" in name:
                weight.normal_(0, 2)
    assert agreed(model) == {"full_attention": None, "sliding_attention": 16}


REFUSED = [
    pytest.param(LlamaConfig(**SHAPE, rope_parameters=LONGROPE), id="longrope"),
    pytest.param(Llama4TextConfig(**SHAPE, **CHUNKED), id="chunks"),
]


@pytest.mark.parametrize("config", REFUSED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_another_forward_is_refused_by_name_with_the_engine_that_can(config: Any, dtype: torch.dtype) -> None:
    model = model_of(config).to(dtype)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=rf"{config.model_type} model .* own forward: .*sweep.engine.name=vllm"):
        agreed(model)


@pytest.mark.parametrize("config", REFUSED)
def test_what_begins_beyond_the_reach_of_the_sweep_is_no_matter(config: Any) -> None:
    assert set(agreed(model_of(config), reach=16).values()) == {None}


def test_a_family_that_the_engine_cannot_run_is_refused_in_one_line() -> None:
    model = model_of(BloomConfig(vocab_size=53, hidden_size=16, n_head=2, n_layer=2))
    with pytest.raises(UserError, match=r"cannot run this bloom model \(ValueError: .*sweep.engine.name=vllm"):
        agreed(model)


def test_weights_that_are_not_finite_are_no_fault_of_the_engine() -> None:
    model = build("qwen3")
    with torch.no_grad():
        model.get_output_embeddings().weight[5] = float("nan")
    model.config.name_or_path = "nan"  # asked anew, whatever other tests have asked
    assert agreed(model) == {"full_attention": None}


def test_a_device_without_memory_for_the_comparison_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    model = fresh_nano(2)

    def full(*args: object) -> None:
        raise torch.OutOfMemoryError("no memory")

    model.register_forward_pre_hook(full)
    assert agreed(model, reach=63) == {"full_attention": None}
    assert "not compared with the model's own forward" in capsys.readouterr().err


def test_the_model_has_its_attention_back() -> None:
    model = build("qwen3")
    with quiet(model), torch.inference_mode():
        before = model.config._attn_implementation
        agreed_windows(model, 53, 61)
        assert model.config._attn_implementation == before


@pytest.mark.parametrize(
    ("config", "reach", "lengths"),
    [
        ({}, 1000, (13, 32)),
        ({}, 20, (13,)),
        ({}, 2, (13,)),
        ({"sliding_window": 16}, 1000, (13, 32)),
        ({"sliding_window": 40}, 1000, (13, 32, 80)),
        ({"sliding_window": 40}, 50, (13, 32, 50)),
        ({"sliding_window": 40}, 40, (13, 32)),
        ({"sliding_window": 4096, "attention_chunk_size": 8192}, 9000, (13, 32, 4352, 8448)),
    ],
)
def test_prompts_go_beyond_every_border_that_the_sweep_reaches(
    config: dict[str, int], reach: int, lengths: tuple[int, ...]
) -> None:
    assert probe_lengths(LlamaConfig(**{**SHAPE, **config}), reach) == lengths


@pytest.mark.parametrize(
    ("config", "limits"),
    [
        ({"sliding_window": 512, "max_window_layers": 28, "use_sliding_window": True}, {512}),
        ({"rope_parameters": LONGROPE}, {24}),
        ({"rope_parameters": {"rope_type": "yarn", "original_max_position_embeddings": 4096}}, set()),
        ({"rope_parameters": {"rope_type": "dynamic"}, "max_position_embeddings": 2048}, {2048}),
        ({"rope_parameters": {"full_attention": LONGROPE}}, {24}),
        ({"text": {"attention_chunk_size": 64}}, {64}),
    ],
)
def test_borders_in_a_config(config: dict[str, Any], limits: set[int]) -> None:
    assert limits_of(config) == limits
