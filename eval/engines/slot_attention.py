"""Attention of the in-process engine on a CPU: one query token per row against a slice of the slot cache.

transformers' SDPA function copies nothing here either, but torch's kernel for masked single queries is slow on a CPU:
two batched products compute the same in 0.4–0.8 of the time. Decoding steps of a fixed shape (GPUs) have their own
kernels (`eval.engines.decode_attention`). Everything else, such as prompts, uses transformers' function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from eval.engines.decode_attention import decode_attention, visible_columns

SLOTS = "chainmend_slots"
PLAIN = {"dropout", "scaling", "is_causal", "sliding_window", "position_ids", "use_cache", "cache_position"}
"""arguments that have no effect for one query token with a given mask"""

Blocks = tuple[tuple[int, int, int], ...]
"""(first row, last row + 1, columns that these rows need) of neighbouring slots"""
BLOCK_ROWS = 64


def blocks_of(positions: Sequence[int]) -> Blocks:
    """Blocks of 64 rows, each as wide as its longest row needs; `positions` [rows] of the token that is fed."""
    starts = range(0, len(positions), BLOCK_ROWS)
    return tuple(
        (start, min(start + BLOCK_ROWS, len(positions)), max(positions[start : start + BLOCK_ROWS]) + 1)
        for start in starts
    )


def slot_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Output [rows, tokens, heads, head size].

    query [rows, heads, tokens, head size]; key, value [rows, key/value heads, width, head size]; attention_mask
    [rows, 1, tokens, width]: for several tokens whether a column is visible, for one token what is added to its score.
    `slot_blocks` among the arguments is the engine's own (`blocks_of`); without it all rows are one block. An integer
    mask [rows, 1, 1, 2] marks a step of a fixed shape: the first column that a row sees, and its length.
    """
    if attention_mask is not None and attention_mask.dtype == torch.long:
        first, lengths = attention_mask[:, 0, 0].unbind(1)  # [rows] each
        if not _has_more(kwargs):
            scale = query.shape[3] ** -0.5 if scaling is None else scaling
            return decode_attention(query[:, :, 0], key, value, first, lengths, scale)[:, None], None
        attention_mask = visible_columns(first, lengths, key.shape[2])[:, None, None]
    blocks: Blocks = kwargs.pop("slot_blocks", None) or ((0, query.shape[0], key.shape[2]),)
    if query.shape[2] > 1 or query.device.type != "cpu" or attention_mask is None or _has_more(kwargs):
        output: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **kwargs
        )
        return output
    rows, heads, _, size = query.shape
    kv_heads = key.shape[1]
    # Query heads that share a key/value head are the rows of one product, so keys and values need not be repeated.
    scaled = (query * (size**-0.5 if scaling is None else scaling)).view(rows * kv_heads, heads // kv_heads, size)
    output_groups = query.new_empty(rows * kv_heads, heads // kv_heads, value.shape[3])
    for begin, last, width in blocks:
        groups = slice(begin * kv_heads, last * kv_heads)
        # [rows of the block * key/value heads, width, head size]: views of the cache without copies
        keys, values = (states[begin:last, :, :width].reshape(-1, width, states.shape[3]) for states in (key, value))
        scores = torch.bmm(scaled[groups], keys.transpose(1, 2)).view(last - begin, heads, width)
        scores = scores.add_(attention_mask[begin:last, 0, :, :width])
        weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
        torch.bmm(weights.view(-1, heads // kv_heads, width), values, out=output_groups[groups])
    return output_groups.view(rows, 1, heads, -1), None


def _has_more(arguments: dict[str, Any]) -> bool:
    """Whether a layer uses arguments that only transformers' function may support."""
    return any(argument is not None for name, argument in arguments.items() if name not in PLAIN)


AttentionInterface.register(SLOTS, slot_attention)
AttentionMaskInterface.register(SLOTS, sdpa_mask)
