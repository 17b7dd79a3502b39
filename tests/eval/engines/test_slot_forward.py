"""The forward over slots: windows as a config names them, and what else it may mean."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, PreTrainedModel

from eval.engines.slot_cache import SlotCache
from eval.engines.slot_forward import SlotForward, attention_windows, window_readings
from eval.quiet import quiet
from tests.prune.models import SHAPE, build


@pytest.mark.parametrize(
    ("family", "windows"),
    [
        ("qwen3", {"full_attention": None}),
        ("llama", {"full_attention": None}),
        ("mistral", {"full_attention": 4}),
        ("qwen2_mixed", {"full_attention": None, "sliding_attention": 4}),
        ("gemma2", {"full_attention": None, "sliding_attention": 4}),
    ],
)
def test_attention_windows(family: str, windows: dict[str, int | None]) -> None:
    assert attention_windows(build(family).config) == windows


def test_a_config_without_a_window_has_one_reading() -> None:
    assert window_readings(build("qwen3").config) == [{"full_attention": None}]


def test_a_config_with_a_window_may_mean_it_or_not() -> None:
    config = LlamaConfig(**SHAPE, sliding_window=16)
    assert window_readings(config) == [{"full_attention": 16}, {"full_attention": None}]


ROWS = [[5, 9, 30, 31, 17, 22, 12, 6], [40, 8, 7]]


def own_logits(model: PreTrainedModel) -> torch.Tensor:
    return torch.stack([model(input_ids=torch.tensor([row]), use_cache=False).logits[0, -1] for row in ROWS])


@pytest.mark.parametrize("family", ["mistral", "qwen2_mixed", "gemma2"])
@torch.inference_mode()
def test_a_step_of_a_fixed_shape_gives_the_logits_of_whole_sequences(family: str) -> None:
    model = build(family)
    with quiet(model):
        forward, cache = SlotForward(model, attention_windows(model.config)), SlotCache(6, 2, 12)
        forward.prefill([row[:-1] for row in ROWS], cache, 0)
        ids, positions = torch.tensor([row[-1] for row in ROWS]), torch.tensor([len(row) - 1 for row in ROWS])
        logits = forward.fixed_step(ids, positions, 12, cache)
    torch.testing.assert_close(logits, own_logits(model), atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_prefill_and_steps_give_the_logits_of_whole_sequences() -> None:
    model, rows = build("mistral"), ROWS
    forward, cache = SlotForward(model, attention_windows(model.config)), SlotCache(6, 2, 12)
    forward.prefill([row[:-1] for row in rows], cache, 0)
    logits = forward.step([row[-1] for row in rows], [len(row) - 1 for row in rows], cache)
    torch.testing.assert_close(logits, own_logits(model), atol=1e-5, rtol=1e-5)
