"""Tiny random models of every family that is cut, with weights large enough that each layer matters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GemmaConfig,
    GemmaForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    SmolLM3Config,
    SmolLM3ForCausalLM,
)

LAYERS = 6
IDLE = 2
"""the layer that adds nothing in the model of the fixture `unpruned`"""
SHAPE = {
    "vocab_size": 53,
    "hidden_size": 16,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "pad_token_id": 0,
}
QWEN2 = {**SHAPE, "use_sliding_window": True, "sliding_window": 4}
QWEN2.pop("head_dim")
MIXED = ["full_attention", "sliding_attention"] * (LAYERS // 2)

BUILDERS: dict[str, Callable[[], PreTrainedModel]] = {
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SHAPE)),
    "qwen2_mixed": lambda: Qwen2ForCausalLM(Qwen2Config(**QWEN2, layer_types=MIXED)),
    "qwen2_derived": lambda: Qwen2ForCausalLM(Qwen2Config(**QWEN2, max_window_layers=3)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=4)),
    "gemma": lambda: GemmaForCausalLM(GemmaConfig(**SHAPE)),
    "gemma2": lambda: Gemma2ForCausalLM(Gemma2Config(**SHAPE, sliding_window=4, query_pre_attn_scalar=8)),
    "gemma3": lambda: Gemma3ForCausalLM(
        Gemma3TextConfig(**SHAPE, sliding_window=4, sliding_window_pattern=3, query_pre_attn_scalar=8)
    ),
    "smollm3": lambda: SmolLM3ForCausalLM(SmolLM3Config(**SHAPE, no_rope_layer_interval=2)),
}
FAMILIES = list(BUILDERS)
TOKENS = torch.randint(4, 53, (2, 11), generator=torch.Generator().manual_seed(0))


def build(family: str) -> PreTrainedModel:
    """A fresh copy of the family's model, the same weights every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BUILDERS[family]().eval()
