"""Configs of published models, without their weights."""

from __future__ import annotations

import json
from pathlib import Path

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
