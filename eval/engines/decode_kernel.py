"""Triton attention of one query token per row over the slot cache: each row reads only its own columns.

The columns are split into parts of 256, each summed by its own program (split over keys and values, as in
Flash-Decoding, Dao et al. 2023); then the parts of a row are joined. Part boundaries are at fixed columns, so a row's
sum has the same bits whatever the other rows are. Query heads that share a key/value head are the rows of one product,
so keys and values are read once.

Triton comes with torch's CUDA builds; this module is imported only if it is installed.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

PART = 256
BLOCK = 64
SMALLEST_PRODUCT = 16
"""`tl.dot` does not accept matrices with fewer rows"""


@triton.jit
def _sum_parts(  # type: ignore[no-untyped-def]
    query,
    keys,
    values,
    first,
    lengths,
    tops,
    sums,
    weighted,
    scale,
    first_row,
    length_row,
    query_row,
    query_head,
    key_row,
    key_head,
    key_column,
    key_place,
    value_row,
    value_head,
    value_column,
    value_place,
    GROUP: tl.constexpr,
    GROUP_PADDED: tl.constexpr,
    SIZE: tl.constexpr,
    SIZE_PADDED: tl.constexpr,
    VALUE_SIZE: tl.constexpr,
    VALUE_PADDED: tl.constexpr,
    PARTS: tl.constexpr,
    PART: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """One part of one row for the query heads of one key/value head: its top score, its sum, its weighted values."""
    row = tl.program_id(0).to(tl.int64)  # offsets in a large cache exceed 32 bits
    group = tl.program_id(1)
    part = tl.program_id(2)
    groups = tl.num_programs(1)
    first_column = tl.load(first + row * first_row).to(tl.int32)
    begin = tl.maximum(part * PART, (first_column // BLOCK) * BLOCK)
    end = tl.minimum((part + 1) * PART, tl.load(lengths + row * length_row).to(tl.int32))
    if begin < end:
        heads = tl.arange(0, GROUP_PADDED)
        places = tl.arange(0, SIZE_PADDED)
        value_places = tl.arange(0, VALUE_PADDED)
        is_head = heads < GROUP
        head = group * GROUP + heads
        asked = tl.load(
            query + row * query_row + head[:, None] * query_head + places[None, :],
            mask=is_head[:, None] & (places[None, :] < SIZE),
            other=0.0,
        )  # [query heads, head size]
        top = tl.full([GROUP_PADDED], float("-inf"), tl.float32)
        total = tl.zeros([GROUP_PADDED], tl.float32)
        gathered = tl.zeros([GROUP_PADDED, VALUE_PADDED], tl.float32)
        for start in range(begin, end, BLOCK):
            columns = start + tl.arange(0, BLOCK)
            is_visible = (columns >= first_column) & (columns < end)
            key = tl.load(
                keys + row * key_row + group * key_head + columns[None, :] * key_column + places[:, None] * key_place,
                mask=is_visible[None, :] & (places[:, None] < SIZE),
                other=0.0,
            )  # [head size, columns]
            scores = tl.dot(asked, key, input_precision="ieee") * scale
            scores = tl.where(is_visible[None, :], scores, float("-inf"))
            higher = tl.maximum(top, tl.max(scores, 1))  # finite: a block has a visible column
            weights = tl.exp(scores - higher[:, None])
            shrink = tl.exp(top - higher)
            value = tl.load(
                values
                + row * value_row
                + group * value_head
                + columns[:, None] * value_column
                + value_places[None, :] * value_place,
                mask=is_visible[:, None] & (value_places[None, :] < VALUE_SIZE),
                other=0.0,
            )  # [columns, head size]
            total = total * shrink + tl.sum(weights, 1)
            gathered = gathered * shrink[:, None] + tl.dot(weights.to(value.dtype), value, input_precision="ieee")
            top = higher
        at = ((row * groups + group) * GROUP + heads) * PARTS + part
        tl.store(tops + at, top, mask=is_head)
        tl.store(sums + at, total, mask=is_head)
        tl.store(
            weighted + at[:, None] * VALUE_SIZE + value_places[None, :],
            gathered,
            mask=is_head[:, None] & (value_places[None, :] < VALUE_SIZE),
        )


@triton.jit
def _join_parts(  # type: ignore[no-untyped-def]
    tops,
    sums,
    weighted,
    first,
    lengths,
    output,
    first_row,
    length_row,
    VALUE_SIZE: tl.constexpr,
    VALUE_PADDED: tl.constexpr,
    PARTS: tl.constexpr,
    PART: tl.constexpr,
):
    """The output of one head of one row; parts without a visible column were not written and are not read."""
    row = tl.program_id(0).to(tl.int64)
    head = row * tl.num_programs(1) + tl.program_id(1)
    places = tl.arange(0, VALUE_PADDED)
    is_place = places < VALUE_SIZE
    top = tl.full([], float("-inf"), tl.float32)
    total = tl.full([], 0.0, tl.float32)
    gathered = tl.zeros([VALUE_PADDED], tl.float32)
    used = (tl.load(lengths + row * length_row).to(tl.int32) + PART - 1) // PART
    for part in range(tl.load(first + row * first_row).to(tl.int32) // PART, used):
        at = head * PARTS + part
        top_of_part = tl.load(tops + at)
        higher = tl.maximum(top, top_of_part)
        shrink = tl.exp(top - higher)
        weight = tl.exp(top_of_part - higher)
        total = total * shrink + weight * tl.load(sums + at)
        part_values = tl.load(weighted + at * VALUE_SIZE + places, mask=is_place, other=0.0)
        gathered = gathered * shrink + weight * part_values
        top = higher
    tl.store(output + head * VALUE_SIZE + places, (gathered / total).to(output.dtype.element_ty), mask=is_place)


def attention_by_triton(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    first: torch.Tensor,
    lengths: torch.Tensor,
    scale: float,
) -> torch.Tensor:
    """As `eval.engines.decode_attention.attention_by_torch`."""
    rows, heads, size = query.shape
    kv_heads, width, value_size = keys.shape[1], keys.shape[2], values.shape[3]
    parts = triton.cdiv(width, PART)
    query = query.contiguous() if query.stride(2) != 1 else query
    tops, sums = (query.new_empty(rows, heads, parts, dtype=torch.float32) for _ in range(2))
    weighted = query.new_empty(rows, heads, parts, value_size, dtype=torch.float32)
    output = query.new_empty(rows, heads, value_size)
    value_padded = max(SMALLEST_PRODUCT, triton.next_power_of_2(value_size))
    spans = first.stride(0), lengths.stride(0)
    shape = {"VALUE_SIZE": value_size, "VALUE_PADDED": value_padded, "PARTS": parts, "PART": PART}
    sum_parts: Any = _sum_parts[(rows, kv_heads, parts)]
    sum_parts(
        *(query, keys, values, first, lengths, tops, sums, weighted, scale),
        *spans,
        *query.stride()[:2],
        *keys.stride(),
        *values.stride(),
        **shape,
        GROUP=heads // kv_heads,
        GROUP_PADDED=max(SMALLEST_PRODUCT, triton.next_power_of_2(heads // kv_heads)),
        SIZE=size,
        SIZE_PADDED=max(SMALLEST_PRODUCT, triton.next_power_of_2(size)),
        BLOCK=BLOCK,
        num_stages=1 if query.dtype == torch.float32 else 2,  # more would not fit with large heads
    )
    join_parts: Any = _join_parts[(rows, heads)]
    join_parts(tops, sums, weighted, first, lengths, output, *spans, **shape)
    return output
