"""Attention over slots on a CPU: against a sum that is written out, and what is handed to transformers."""

from __future__ import annotations

import pytest
import torch

from eval.engines.slot_attention import Blocks, blocks_of, slot_attention

ROWS, HEADS, KV_HEADS, SIZE, WIDTH = 3, 4, 2, 8, 7
LENGTHS = [7, 2, 5]


def test_a_block_of_64_rows_is_as_wide_as_its_longest_row_needs() -> None:
    assert blocks_of([9, *[4] * 64]) == ((0, 64, 10), (64, 65, 5))


class Attention(torch.nn.Module):
    """What transformers' function reads of a layer."""

    num_key_value_groups = HEADS // KV_HEADS
    is_causal = True


def states() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Query of one token, keys, values, and the mask of rows with LENGTHS visible columns."""
    random = torch.Generator().manual_seed(0)
    query = torch.randn(ROWS, HEADS, 1, SIZE, generator=random)
    key, value = (torch.randn(ROWS, KV_HEADS, WIDTH, SIZE, generator=random) for _ in range(2))
    hidden = torch.arange(WIDTH) >= torch.tensor(LENGTHS)[:, None]
    return query, key, value, torch.zeros(ROWS, WIDTH).masked_fill(hidden, torch.finfo().min)[:, None, None]


def by_hand(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float) -> torch.Tensor:
    """[rows, 1, heads, head size]: each head of each row by itself, over the columns that it may see."""
    output = torch.empty(ROWS, 1, HEADS, SIZE)
    for row, length in enumerate(LENGTHS):
        for head in range(HEADS):
            group = head * KV_HEADS // HEADS
            scores = key[row, group, :length] @ query[row, head, 0] * scaling
            output[row, 0, head] = scores.softmax(0) @ value[row, group, :length]
    return output


@pytest.mark.parametrize("scaling", [None, 0.3])
@pytest.mark.parametrize("blocks", [None, ((0, 3, 7),), ((0, 1, 7), (1, 3, 5))])
def test_one_token_sees_the_columns_of_its_row(scaling: float | None, blocks: Blocks | None) -> None:
    query, key, value, mask = states()
    output, _ = slot_attention(Attention(), query, key, value, mask, scaling=scaling, slot_blocks=blocks)
    torch.testing.assert_close(output, by_hand(query, key, value, scaling or SIZE**-0.5))


def test_columns_beyond_a_block_are_not_read() -> None:
    query, key, value, mask = states()
    key[1:, :, 5:], value[1:, :, 5:] = torch.nan, torch.nan
    output, _ = slot_attention(Attention(), query, key, value, mask, slot_blocks=((0, 1, 7), (1, 3, 5)))
    assert output.isfinite().all()


def test_several_tokens_are_those_of_transformers() -> None:
    _, key, value, _ = states()
    query = torch.randn(ROWS, HEADS, WIDTH, SIZE)
    visible = torch.ones(WIDTH, WIDTH, dtype=torch.bool).tril().expand(ROWS, 1, WIDTH, WIDTH)
    output, _ = slot_attention(Attention(), query, key, value, visible)
    first, _ = slot_attention(Attention(), query[:, :, :1], key[:, :, :1], value[:, :, :1], torch.zeros(ROWS, 1, 1, 1))
    torch.testing.assert_close(output[:, :1], first)


@pytest.mark.parametrize("more", [{}, {"s_aux": torch.zeros(HEADS)}], ids=["plain", "unknown arguments"])
def test_a_step_of_a_fixed_shape_sees_the_columns_from_the_first_to_its_length(more: dict[str, torch.Tensor]) -> None:
    query, key, value, _ = states()
    spans = torch.tensor([[0, length] for length in LENGTHS])[:, None, None]
    output, _ = slot_attention(Attention(), query, key, value, spans, scaling=0.3, **more)
    torch.testing.assert_close(output, by_hand(query, key, value, 0.3))
