"""One token per row over the columns that it holds: against a sum that is written out."""

from __future__ import annotations

import pytest
import torch

from eval.engines.decode_attention import attention_by_torch, decode_attention

FIRST, LENGTHS = torch.tensor([0, 0, 3, 299]), torch.tensor([1, 300, 5, 301])
SHAPES = [(4, 2, 8, 8), (6, 2, 24, 24), (2, 2, 16, 16), (8, 1, 64, 32)]
"""query heads, key/value heads, head size, value size"""
Shape = tuple[int, int, int, int]


def states(shape: Shape, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Query, keys and values of 4 rows and 320 columns; what a row does not hold is huge."""
    heads, kv_heads, size, value_size = shape
    random = torch.Generator().manual_seed(0)
    query = torch.randn(4, heads, size, generator=random)
    keys = torch.randn(4, kv_heads, 320, size, generator=random)
    values = torch.randn(4, kv_heads, 320, value_size, generator=random)
    columns = torch.arange(320)
    beyond = ((columns < FIRST[:, None]) | (columns >= LENGTHS[:, None]))[:, None, :, None]
    return query.to(dtype), keys.masked_fill(beyond, 1e4).to(dtype), values.masked_fill(beyond, 1e4).to(dtype)


def by_hand(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float) -> torch.Tensor:
    """Each head of each row by itself, in float64."""
    rows, heads, _ = query.shape
    output = torch.empty(rows, heads, values.shape[3], dtype=torch.float64)
    for row in range(rows):
        span = slice(int(FIRST[row]), int(LENGTHS[row]))
        for head in range(heads):
            group = head * keys.shape[1] // heads
            scores = keys[row, group, span].double() @ query[row, head].double() * scale
            output[row, head] = scores.softmax(0) @ values[row, group, span].double()
    return output


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_row_sees_its_own_columns(shape: Shape) -> None:
    query, keys, values = states(shape)
    output = decode_attention(query, keys, values, FIRST, LENGTHS, 0.3)
    torch.testing.assert_close(output.double(), by_hand(query, keys, values, 0.3), atol=1e-5, rtol=1e-5)


def test_the_whole_width_under_a_mask_keeps_the_dtype() -> None:
    query, keys, values = states(SHAPES[0], torch.bfloat16)
    output = attention_by_torch(query, keys, values, FIRST, LENGTHS, 0.3)
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.double(), by_hand(query, keys, values, 0.3), atol=0.03, rtol=0.03)
