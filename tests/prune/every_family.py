"""Tiny configs of every family that people prune, and what is built of them: random weights, six layers, 53 tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers as t
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from tests.prune.models import LAYERS, MIXED, QWEN2, SHAPE

NO_HEAD_SIZE = {key: value for key, value in SHAPE.items() if key != "head_dim"}
WINDOW = {"sliding_window": 4}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8}
LOCAL = {"num_local_experts": 4, "num_experts_per_tok": 2}
ROUTED = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8, "first_k_dense_replace": 2}
SHARED = {**EXPERTS, "shared_expert_intermediate_size": 8}
LATENT = {
    **NO_HEAD_SIZE,
    **ROUTED,
    **{"num_key_value_heads": 2, "q_lora_rank": 8, "kv_lora_rank": 8},
    **{"qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 8},
}
KINDS = ["linear_attention", "full_attention"] * (LAYERS // 2)
LINEAR = {
    **{"linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8},
    "layer_types": KINDS,
}
MAMBA = {
    **{"mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_n_groups": 1},
    "layer_types": KINDS,
}
CONV = ["conv", "full_attention"] * (LAYERS // 2)

Make = Callable[[], PreTrainedConfig]
DENSE: dict[str, Make] = {
    "qwen2": lambda: t.Qwen2Config(**NO_HEAD_SIZE),
    "qwen2_mixed": lambda: t.Qwen2Config(**QWEN2, layer_types=MIXED),
    "qwen3": lambda: t.Qwen3Config(**SHAPE),
    "qwen3_tied": lambda: t.Qwen3Config(**SHAPE, tie_word_embeddings=True),
    "llama": lambda: t.LlamaConfig(**SHAPE),
    "mistral": lambda: t.MistralConfig(**SHAPE, **WINDOW),
    "ministral": lambda: t.MinistralConfig(**SHAPE, **WINDOW, layer_types=MIXED),
    "gemma": lambda: t.GemmaConfig(**SHAPE),
    "gemma2": lambda: t.Gemma2Config(**SHAPE, **WINDOW, query_pre_attn_scalar=8),
    "gemma3": lambda: t.Gemma3TextConfig(**SHAPE, **WINDOW, sliding_window_pattern=3, query_pre_attn_scalar=8),
    "phi": lambda: t.PhiConfig(**NO_HEAD_SIZE),
    "phi3": lambda: t.Phi3Config(**NO_HEAD_SIZE),
    "olmo": lambda: t.OlmoConfig(**NO_HEAD_SIZE),
    "olmo2": lambda: t.Olmo2Config(**NO_HEAD_SIZE),
    "olmo3": lambda: t.Olmo3Config(**NO_HEAD_SIZE, **WINDOW, layer_types=MIXED),
    "smollm3": lambda: t.SmolLM3Config(**SHAPE, no_rope_layer_interval=2),
    "glm": lambda: t.GlmConfig(**SHAPE),
    "glm4": lambda: t.Glm4Config(**SHAPE),
    "cohere": lambda: t.CohereConfig(**NO_HEAD_SIZE),
    "cohere2": lambda: t.Cohere2Config(**SHAPE, **WINDOW, layer_types=MIXED),
    "exaone4": lambda: t.Exaone4Config(**SHAPE, **WINDOW, layer_types=MIXED),
    "seed_oss": lambda: t.SeedOssConfig(**SHAPE),
    "hunyuan": lambda: t.HunYuanDenseV1Config(**SHAPE),
    "ernie4_5": lambda: t.Ernie4_5Config(**SHAPE),
    "stablelm": lambda: t.StableLmConfig(**NO_HEAD_SIZE),
    "starcoder2": lambda: t.Starcoder2Config(**NO_HEAD_SIZE, **WINDOW),
    "granite": lambda: t.GraniteConfig(**NO_HEAD_SIZE),
    "nemotron": lambda: t.NemotronConfig(**SHAPE),
    "arcee": lambda: t.ArceeConfig(**SHAPE),
    "apertus": lambda: t.ApertusConfig(**NO_HEAD_SIZE),
}
WITH_EXPERTS: dict[str, Make] = {
    "qwen2_moe": lambda: t.Qwen2MoeConfig(**NO_HEAD_SIZE, **SHARED, mlp_only_layers=[0]),
    "qwen3_moe": lambda: t.Qwen3MoeConfig(**SHAPE, **EXPERTS, mlp_only_layers=[1, 4]),
    "qwen3_moe_by_step": lambda: t.Qwen3MoeConfig(**SHAPE, **EXPERTS, decoder_sparse_step=2, mlp_only_layers=[3]),
    "mixtral": lambda: t.MixtralConfig(**SHAPE, **LOCAL),
    "olmoe": lambda: t.OlmoeConfig(**NO_HEAD_SIZE, num_experts=4, num_experts_per_tok=2),
    "granite_moe": lambda: t.GraniteMoeConfig(**NO_HEAD_SIZE, **LOCAL),
    "gpt_oss": lambda: t.GptOssConfig(**SHAPE, **WINDOW, **LOCAL),
    "deepseek_v2": lambda: t.DeepseekV2Config(**LATENT, n_shared_experts=1),
    "deepseek_v3": lambda: t.DeepseekV3Config(**LATENT, n_group=1, topk_group=1),
    "glm4_moe": lambda: t.Glm4MoeConfig(**SHAPE, **ROUTED),
}
HYBRIDS: dict[str, Make] = {
    "qwen3_next": lambda: t.Qwen3NextConfig(**SHAPE, **SHARED, **LINEAR, mlp_only_layers=[2]),
    "qwen3_5": lambda: t.Qwen3_5TextConfig(**SHAPE, **LINEAR),
    "lfm2": lambda: t.Lfm2Config(**NO_HEAD_SIZE, full_attn_idxs=[1, 4]),
    "lfm2_moe": lambda: t.Lfm2MoeConfig(**NO_HEAD_SIZE, **EXPERTS, num_dense_layers=2, layer_types=CONV),
    "granite_hybrid": lambda: t.GraniteMoeHybridConfig(**NO_HEAD_SIZE, **LOCAL, **MAMBA, shared_intermediate_size=8),
    "olmo_hybrid": lambda: t.OlmoHybridConfig(**SHAPE, layer_types=KINDS),
}
SWEPT = DENSE | WITH_EXPERTS
"""what the engine in process sweeps"""
EVERY = SWEPT | HYBRIDS


def make(family: str, **changes: Any) -> PreTrainedModel:
    """A fresh model of the family, the same weights every time; changes: of its config."""
    config = EVERY[family]()
    for key, value in changes.items():
        setattr(config, key, value)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config).eval()
    return model
