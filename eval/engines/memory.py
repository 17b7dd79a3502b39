"""How many concurrent thoughts fit into a memory limit, and the peak memory of a sweep.

The limit applies to what a sweep takes in addition to the weights: the key/value cache, the logits and the sampling on
them, the widest layer of a step, and a prefill. `tests/bench/middle.py` compares the estimate with the measured peak.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from eval.engines.state_cache import STATE_KINDS, layer_kinds, state_bytes
from eval.protocol import Protocol
from recipes.errors import UserError

PREFILL_TOKENS = 4096  # padded prompt tokens per prefill; more would not be faster
GIGABYTE = 1 << 30
COPIES = 2
"""copies of a hybrid row's states: those of the prompt and those at the beginning of an answer"""


@dataclass(frozen=True)
class SlotLayout:
    """The number of concurrent rows, the maximum tokens per row, and the bytes that all of them take at most."""

    slots: int
    capacity: int
    bytes: int


def row_tokens(protocol: Protocol, prompt_tokens: int) -> int:
    """Tokens that a row must have room for: its prompt, the largest budget, a close and an answer."""
    closing = max(len(protocol.format.forced_close_ids), len(protocol.format.own_close_ids))
    return prompt_tokens + protocol.budgets[-1] + closing + protocol.answer_tokens


def lay_out_slots(model: Any, protocol: Protocol, capacity: int, most: int, limit_bytes: int) -> SlotLayout:
    """At most `most` rows of `capacity` tokens, as many as `limit_bytes` hold; raises UserError if not one fits."""
    row, once = _row_bytes(model, protocol, capacity), _prefill_bytes(model, capacity)
    slots = min(most, (limit_bytes - once) // row)
    if slots < 1:
        raise UserError(
            f"sweep.engine.memory_gb={limit_bytes / GIGABYTE:g}: one thought of {capacity} tokens takes "
            f"{(row + once) / GIGABYTE:.2g} GB; raise the limit or lower the largest budget"
        )
    return SlotLayout(slots=slots, capacity=capacity, bytes=once + slots * row)


def _row_bytes(model: Any, protocol: Protocol, capacity: int) -> int:
    """One row: its cache, its logits (sorted and summed in float64 if they are sampled), scores and masks."""
    config, size = model.config, model.dtype.itemsize
    with_states = sum(kind in STATE_KINDS for kind in layer_kinds(config))
    cache = 2 * (config.num_hidden_layers - with_states) * _key_values(config) * size  # keys and values of all layers
    states = state_bytes(config) * (1 + COPIES)
    scores = 2 * config.num_attention_heads * 4 + 16  # before and after the softmax in float32, and the mask
    # Per id: the logit and its copies in float32; sampling adds the tensors of `eval.streams` (sorted values and their
    # ids, probabilities and their sums in float64).
    choosing = size + 8 + (48 if protocol.temperature > 0 else 0)
    return capacity * (cache + scores) + states + config.vocab_size * choosing + _token_bytes(config, size)


def _prefill_bytes(model: Any, capacity: int) -> int:
    return max(capacity, PREFILL_TOKENS) * _token_bytes(model.config, model.dtype.itemsize)


def _token_bytes(config: Any, size: int) -> int:
    """Bytes of activations per token at the widest point of a layer."""
    queries = config.num_attention_heads * _head_size(config)
    inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size  # GPT-2 and OPT use another name
    return (6 * config.hidden_size + 3 * inner + 4 * queries + 6 * _key_values(config)) * size


def _key_values(config: Any) -> int:
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    return int(heads * _head_size(config))


def _head_size(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


class PeakMemory:
    """The peak memory of this process since this object was created, above the level at creation.

    GPU memory if there is a GPU, else resident memory (Linux); 0 if neither can be read.
    """

    def __init__(self) -> None:
        self._gpu = torch.cuda.is_available()
        if self._gpu:
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
        else:
            _reset_resident_peak()
            self._before = _resident("VmRSS")

    def bytes(self) -> int:
        """Bytes above the start, at the highest moment so far."""
        peak = torch.cuda.max_memory_allocated() if self._gpu else _resident("VmHWM")
        return max(0, peak - self._before)


def _reset_resident_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # 5: set VmHWM back to VmRSS (proc(5))
    except OSError:
        return


def _resident(key: str) -> int:
    """VmRSS or VmHWM of this process in bytes; 0 if there is no such figure."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:")), 0)
