"""The cache of slots: where a prompt and a step are written, what a step reads, and what a move copies."""

from __future__ import annotations

import torch

from eval.engines.slot_cache import SlotCache, SlotLayer

SLOTS, HEADS, CAPACITY, SIZE = 4, 2, 6, 3


def cache() -> tuple[SlotCache, SlotLayer]:
    """A cache of one layer, with a prompt of 3 tokens in slots 1 and 2: all ones, and all twos."""
    slots = SlotCache(1, SLOTS, CAPACITY)
    slots.for_prefill(1, 3)
    prompt = torch.ones(2, HEADS, 3, SIZE)
    prompt[1] = 2.0
    slots.update(prompt, -prompt, 0)
    layer = slots.layers[0]
    assert isinstance(layer, SlotLayer)
    return slots, layer


def test_a_prefill_fills_its_slots_from_position_0() -> None:
    _, layer = cache()
    assert layer.keys is not None and layer.values is not None
    assert layer.keys[:, 0, :, 0].tolist() == [[0] * 6, [1, 1, 1, 0, 0, 0], [2, 2, 2, 0, 0, 0], [0] * 6]
    assert torch.equal(layer.values, -layer.keys)


def test_a_prefill_attends_to_its_own_tokens() -> None:
    slots = SlotCache(1, SLOTS, CAPACITY)
    slots.for_prefill(0, 2)
    keys, values = torch.randn(1, HEADS, 2, SIZE), torch.randn(1, HEADS, 2, SIZE)
    assert all(a is b for a, b in zip(slots.update(keys, values, 0), (keys, values), strict=True))


def test_a_step_writes_one_token_per_row_at_its_own_position() -> None:
    slots, layer = cache()
    slots.for_step(torch.tensor([0, 3, 1]), width=4)
    token = torch.full((3, HEADS, 1, SIZE), 9.0)
    slots.update(token, token, 0)
    assert layer.keys is not None
    assert layer.keys[:, 1, :, 2].tolist() == [[9, 0, 0, 0, 0, 0], [1, 1, 1, 9, 0, 0], [2, 9, 2, 0, 0, 0], [0] * 6]


def test_a_step_reads_the_first_rows_up_to_its_width() -> None:
    slots, layer = cache()
    slots.for_step(torch.tensor([0, 3]), width=4)
    keys, values = slots.update(torch.zeros(2, HEADS, 1, SIZE), torch.zeros(2, HEADS, 1, SIZE), 0)
    assert layer.keys is not None and layer.values is not None
    assert torch.equal(keys, layer.keys[:2, :, :4]) and keys.data_ptr() == layer.keys.data_ptr()
    assert torch.equal(values, layer.values[:2, :, :4]) and values.data_ptr() == layer.values.data_ptr()


def test_a_move_copies_the_tokens_of_a_slot_that_count() -> None:
    slots, layer = cache()
    slots.move(2, 1, length=2)
    assert layer.keys is not None and layer.values is not None
    assert layer.keys[1, 0, :, 0].tolist() == [2, 2, 1, 0, 0, 0]
    assert layer.values[1, 1, :, 2].tolist() == [-2, -2, -1, 0, 0, 0]
