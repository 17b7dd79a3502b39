"""How many thoughts fit into a limit, by hand, and whether the peak that is read is the peak."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from eval.engines.memory import PREFILL_TOKENS, PeakMemory, lay_out_slots
from eval.engines.state_cache import state_bytes
from recipes.errors import UserError
from tests.eval.worlds import nano, nano_protocol
from tests.prune.every_family import make

# the embedded model: 8 layers, 4 heads and 2 key/value heads of 32, hidden 64, MLP 192, 112 ids, float32
CACHE = 2 * 8 * 64 * 4
SCORES = 2 * 4 * 4 + 16
TOKEN = (6 * 64 + 3 * 192 + 4 * 128 + 6 * 64) * 4
ROW = 100 * (CACHE + SCORES) + 112 * (4 + 8) + TOKEN
PREFILL = PREFILL_TOKENS * TOKEN


def test_a_row_is_its_cache_its_scores_and_its_logits() -> None:
    plan = lay_out_slots(nano(), nano_protocol([8]), capacity=100, most=4, limit_bytes=1 << 30)
    assert (plan.slots, plan.bytes) == (4, PREFILL + 4 * ROW)


def test_sampled_logits_are_sorted_and_summed() -> None:
    sampled = nano_protocol([8], temperature=1.0)
    greedy, drawn = (lay_out_slots(nano(), p, 100, 1, 1 << 30).bytes for p in (nano_protocol([8]), sampled))
    assert drawn - greedy == 112 * 48


@pytest.mark.parametrize(("spare", "slots"), [(3 * ROW, 3), (3 * ROW - 1, 2), (99 * ROW, 16)])
def test_as_many_rows_as_the_limit_holds(spare: int, slots: int) -> None:
    assert lay_out_slots(nano(), nano_protocol([8]), 100, 16, PREFILL + spare).slots == slots


def test_a_limit_for_less_than_one_row_is_refused() -> None:
    with pytest.raises(UserError, match=r"memory_gb=0.01: one thought of 100 tokens takes 0\.029 GB; raise the limit"):
        lay_out_slots(nano(), nano_protocol([8]), 100, 16, (1 << 30) // 100)


@pytest.mark.skipif(torch.cuda.is_available(), reason="reads resident memory, and on this machine there is a GPU")
def test_the_peak_counts_what_was_let_go_again() -> None:
    memory = PeakMemory()
    np.ones(64 << 20, dtype=np.uint8)
    assert 60 << 20 < memory.bytes() < 80 << 20


def test_a_family_that_names_its_mlp_otherwise_has_four_times_its_width() -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=112, n_embd=64, n_head=2, n_layer=8, n_positions=64))
    token = (6 * 64 + 3 * 256 + 4 * 64 + 6 * 64) * 4
    row = 100 * (2 * 8 * 64 * 4 + 2 * 2 * 4 + 16) + 112 * (4 + 8) + token
    assert lay_out_slots(model, nano_protocol([8]), 100, 1, 1 << 30).bytes == PREFILL_TOKENS * token + row


def test_a_hybrid_has_keys_and_values_in_some_layers_and_three_times_its_states() -> None:
    model, capacity = make("lfm2"), 100  # attention in 2 of 6 layers, 2 heads and 1 key/value head of 8; states 16 x 3
    more = lay_out_slots(model, nano_protocol([8]), capacity + 1, 1, 1 << 30).bytes
    less = lay_out_slots(model, nano_protocol([8]), capacity, 1, 1 << 30).bytes
    assert more - less == 2 * 2 * 8 * 4 + 2 * 2 * 4 + 16
    assert state_bytes(model.config) == 4 * 16 * 3 * 4
    token = (6 * 16 + 3 * model.config.intermediate_size + 4 * 16 + 6 * 8) * 4
    expected = capacity * (more - less) + 3 * 4 * 16 * 3 * 4 + 53 * (4 + 8) + token
    assert less == expected + PREFILL_TOKENS * token
