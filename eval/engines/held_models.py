"""The families that the in-process engine supports: those whose layers keep the keys and values of every token only.

A state that is overwritten at every token (Mamba, linear attention, short convolutions) cannot be restored where a
budget interrupts a thought, and some families share or compress what they keep. Chunked attention, and scaling that
depends on the longest row, agree with the model only up to a border. All of these are refused by their config, before
any weights are loaded; `eval.engines.own_forward` finds what no config says.
"""

from __future__ import annotations

from typing import Any

from transformers import MODEL_FOR_CAUSAL_LM_MAPPING

from recipes.engines import EngineSection
from recipes.errors import UserError

HELD_LAYERS = {"full_attention", "sliding_attention", "chunked_attention"}
HYBRIDS = {"qwen3_next", "qwen3_5_text", "lfm2", "lfm2_moe", "granitemoehybrid", "olmo_hybrid"}
"""families whose states are kept with keys and values (`eval.engines.state_cache`), each tested against `generate`"""


def check_held(engine: EngineSection, path: str, config: Any, reach_tokens: int = 0) -> None:
    """Raises UserError if `engine` runs in this process and does not support the model at `path`, of this config.

    reach_tokens: the most tokens of a row in the sweep, if known.
    """
    if not engine.in_process:
        return
    text_config = config.get_text_config()
    if what := _not_held(text_config) or _beyond_border(text_config, reach_tokens):
        raise UserError(
            f"sweep.engine.name={engine.name}: the in-process engine cannot sweep {path}: {what}; "
            "use sweep.engine.name=vllm, or an endpoint (sweep.engine.name=server) with python -m eval"
        )


def _beyond_border(config: Any, reach_tokens: int) -> str:
    """The border of a model's arithmetic that the sweep crosses; "" for none."""
    chunk = getattr(config, "attention_chunk_size", None)
    if chunk and reach_tokens > chunk and "chunked_attention" in (getattr(config, "layer_types", None) or []):
        return f"its attention is in chunks of {chunk} tokens, and a thought may take {reach_tokens} with its prompt"
    scaling = getattr(config, "rope_parameters", None) or {}
    border = scaling.get("original_max_position_embeddings") or config.max_position_embeddings
    if scaling.get("rope_type") == "longrope" and reach_tokens > border:
        return (
            f"beyond {border} tokens its longrope scales every row by the longest one, and a thought may take "
            f"{reach_tokens} with its prompt"
        )
    return ""


def _not_held(config: Any) -> str:
    """The unsupported part of a model; "" if there is none."""
    if config.model_type in HYBRIDS:
        return ""
    others = sorted(set(getattr(config, "layer_types", None) or []) - HELD_LAYERS)
    if others:
        return f"its layers of type {', '.join(others)} keep another state than keys and values"
    if getattr(config, "num_kv_shared_layers", 0):
        return f"{config.num_kv_shared_layers} of its layers share keys and values"
    try:
        family = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    except (ImportError, RuntimeError):  # a family whose own code needs a package that is not installed
        return ""
    if getattr(family, "_is_stateful", False):
        return f"{config.model_type} keeps a state that each token overwrites"
    return ""
