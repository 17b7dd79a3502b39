"""Attention of decoding steps of a fixed shape: one query token per row, over the columns that the row holds.

The device holds the column ranges (`first`, `lengths`), so a step can be captured in a CUDA graph and replayed as rows
grow. On CUDA, our own kernel reads only these columns (`eval.engines.decode_kernel`); elsewhere, and without Triton,
torch's SDPA reads the whole width under a mask.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import find_spec

import torch

LARGEST_HEAD = 256
"""a larger head would not fit into a program's registers"""


def decode_attention(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    first: torch.Tensor,
    lengths: torch.Tensor,
    scale: float,
) -> torch.Tensor:
    """Output [rows, heads, value size], by the fastest method on this device.

    query [rows, heads, head size]; keys, values [rows, key/value heads, width, head size]; first, lengths [rows]: a row
    sees columns first … length - 1, at least one. Columns beyond are not read, or have no weight.
    """
    if query.device.type == "cuda" and max(keys.shape[3], values.shape[3]) <= LARGEST_HEAD and has_kernel():
        from eval.engines.decode_kernel import attention_by_triton

        return attention_by_triton(query, keys, values, first, lengths, scale)
    return attention_by_torch(query, keys, values, first, lengths, scale)


def attention_by_torch(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    first: torch.Tensor,
    lengths: torch.Tensor,
    scale: float,
) -> torch.Tensor:
    """The same by SDPA over the whole width."""
    visible = visible_columns(first, lengths, keys.shape[2])
    output = torch.nn.functional.scaled_dot_product_attention(
        query[:, :, None], keys, values, attn_mask=visible[:, None, None], scale=scale, enable_gqa=True
    )
    return output[:, :, 0]


def visible_columns(first: torch.Tensor, lengths: torch.Tensor, width: int) -> torch.Tensor:
    """Whether a row sees a column, [rows, width]."""
    columns = torch.arange(width, device=first.device)
    return (columns >= first[:, None]) & (columns < lengths[:, None])


@cache
def has_kernel() -> bool:
    """Whether the kernel works here: Triton must be installed and support this compiler and GPU. Tried once."""
    if find_spec("triton") is None:
        return False
    from eval.engines.decode_kernel import attention_by_triton

    try:
        states = torch.ones(1, 1, 16, 16, device="cuda")
        first = torch.zeros(1, dtype=torch.long, device="cuda")
        attention_by_triton(states[:, :, 0], states, states, first, first + 1, 1.0)
        torch.cuda.synchronize()
    except Exception as fault:  # an unknown machine's compiler may raise anything
        reason = (str(fault).strip().splitlines() or [""])[0][:200]
        print(
            f"sweep: Triton does not work here ({type(fault).__name__}: {reason}); the whole cache is read",
            file=sys.stderr,
        )
        return False
    return True
