"""What fused kernels keep, by hand, and that nothing of it stays."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM
from transformers.models.qwen3 import modeling_qwen3

from train.plan.activations import MicroBatch, measure_activations
from train.plan.fused import as_if_fused, fuses
from train.sizes import Sizes, Skeleton

ROWS, TOKENS = 2, 32
HIDDEN, HEADS, KEY_VALUES, HEAD, INTERMEDIATE, LAYERS = 64, 4, 2, 32, 160, 3


def skeleton() -> Skeleton:
    config = Qwen3Config(
        vocab_size=64,
        hidden_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KEY_VALUES,
        head_dim=HEAD,
        intermediate_size=INTERMEDIATE,
        dtype=torch.bfloat16,
    )
    with torch.device("meta"):
        model = Qwen3ForCausalLM(config).to(torch.bfloat16)
    return Skeleton(model, model, model, Sizes(1, 1, 1, 1, 1, 1, LAYERS, tied=False))


def saved(*, checkpointing: bool, fused: bool) -> int:
    batch = MicroBatch(ROWS, TOKENS, padded=False, checkpointing=checkpointing, fused=fused)
    return measure_activations(skeleton(), batch, "cuda").saved


def test_a_fused_layer_keeps_its_inputs_and_a_number_per_row() -> None:
    query, key = HEADS * HEAD, KEY_VALUES * HEAD
    # both norms with what they give, query and key before and after their norms, value, attention, the MLP's three
    half = 4 * HIDDEN + 2 * query + 2 * key + key + query + 3 * INTERMEDIATE
    # the norms' number per row, head and key head; SDPA's sum per head
    whole = 2 + HEADS + KEY_VALUES + HEADS
    by_hand = LAYERS * ROWS * TOKENS * (2 * half + 4 * whole)
    assert saved(checkpointing=False, fused=True) == pytest.approx(by_hand, rel=0.05)


def test_that_is_much_less_than_without() -> None:
    assert saved(checkpointing=False, fused=True) < 0.75 * saved(checkpointing=False, fused=False)


def test_with_checkpointing_layers_keep_their_inputs_either_way() -> None:
    fused, plain = (saved(checkpointing=True, fused=fused) for fused in (True, False))
    assert plain - fused == ROWS * TOKENS * HIDDEN * 4  # the last norm is recomputed nowhere: its float32 copy


def test_the_family_computes_as_before_afterwards() -> None:
    rotary, model = modeling_qwen3.apply_rotary_pos_emb, skeleton().pruned
    with as_if_fused(model):
        assert modeling_qwen3.apply_rotary_pos_emb is not rotary
    assert modeling_qwen3.apply_rotary_pos_emb is rotary
    assert [name for name, module in model.named_modules() if "forward" in vars(module)] == []


@pytest.mark.parametrize(
    ("trainer", "family", "expected"),
    [
        ({"use_liger_kernel": True}, "qwen3", True),
        ({"use_liger_kernel": True}, "gemma2", False),
        ({"use_liger_kernel": False}, "qwen3", False),
    ],
)
def test_the_recipe_says_whether_kernels_are_fused(trainer: dict[str, Any], family: str, expected: bool) -> None:
    assert fuses(trainer, family) is expected
