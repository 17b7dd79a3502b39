"""States in slots: those of a row, moved, copied and put back, and which models keep any."""

from __future__ import annotations

import pytest
import torch
from transformers import Lfm2Config, Qwen3Config

from eval.engines.slot_cache import SlotCache
from eval.engines.slot_forward import SlotForward, attention_windows
from eval.engines.state_cache import StateCache, StateLayer, layer_kinds, make_cache, state_bytes
from tests.prune.every_family import HYBRIDS, make

CONV = torch.arange(12.0).reshape(1, 2, 6)
"""one row, two channels, six tokens"""


def filled() -> StateCache:
    """Two slots of a convolution of size 4, each with its own six tokens."""
    cache = StateCache(["conv"], 2, 8)
    for slot in (0, 1):
        cache.for_prefill(slot, 6)
        cache.update_conv_state(CONV + 100 * slot, 0, conv_kernel_size=4)
    return cache


def test_only_what_the_convolution_needs_is_kept() -> None:
    assert filled().states(1)[0].tolist() == [[102, 103, 104, 105], [108, 109, 110, 111]]


def test_a_prompt_shorter_than_the_convolution_has_zeros_before_it() -> None:
    cache = StateCache(["conv"], 1, 8)
    cache.for_prefill(0, 2)
    cache.update_conv_state(CONV[..., :2], 0, conv_kernel_size=4)
    assert cache.states(0)[0].tolist() == [[0, 0, 0, 1], [0, 0, 6, 7]]


def test_a_step_reads_the_states_of_its_rows_and_writes_them_in_place() -> None:
    cache = filled()
    cache.for_step(torch.tensor([6]), 7)
    held = cache.get_conv_state(0)
    assert held is not None and held.shape == (1, 2, 4)
    held[:] = -1
    assert [bool((cache.states(slot)[0] == -1).all()) for slot in (0, 1)] == [True, False]


def test_a_prefill_begins_from_nothing_in_a_slot_that_was_used() -> None:
    cache = filled()
    cache.for_prefill(1, 6)
    assert cache.get_conv_state(0) is None


def test_a_row_moves_with_its_states() -> None:
    cache = filled()
    before = cache.states(1)
    cache.move(1, 0, 6)
    assert torch.equal(cache.states(0)[0], before[0])


def test_a_copy_is_not_changed_by_later_steps_and_can_be_put_back() -> None:
    cache = filled()
    copy = cache.states(0)
    cache.put(0, None)
    assert not cache.states(0)[0].any()
    cache.put(0, copy)
    assert torch.equal(cache.states(0)[0], CONV[0, :, -4:])


@pytest.mark.parametrize(
    ("config", "kind", "count"),
    [
        (Qwen3Config(num_hidden_layers=3), SlotCache, 0),
        (Lfm2Config(num_hidden_layers=3, full_attn_idxs=[1]), StateCache, 2),
    ],
    ids=["keys and values", "hybrid"],
)
def test_a_model_gets_the_cache_of_its_layers(
    config: Qwen3Config | Lfm2Config, kind: type[SlotCache], count: int
) -> None:
    cache = make_cache(config, 2, 8)
    assert (type(cache), sum(isinstance(layer, StateLayer) for layer in cache.layers)) == (kind, count)
    assert bool(layer_kinds(config)) == bool(count)


@pytest.mark.parametrize("family", HYBRIDS)
def test_the_states_of_a_row_take_as_many_bytes_as_are_foretold(family: str) -> None:
    model = make(family)
    cache = make_cache(model.config, 1, 8)
    with torch.inference_mode():
        SlotForward(model, attention_windows(model.config)).prefill([[5, 6, 7]], cache, 0)
    assert isinstance(cache, StateCache)
    assert sum(states.nbytes for states in cache.states(0)) == state_bytes(model.config)
