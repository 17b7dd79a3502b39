"""One token at a time: what is fed, and what may be chosen."""

from __future__ import annotations

import torch

from eval.budget_forcing import ForcedThought
from eval.engines.single_steps import SingleSteps
from eval.engines.slot_cache import SlotCache
from eval.engines.slot_forward import SlotForward, attention_windows
from eval.types import Request
from tests.eval.scripted import FORMAT, make_protocol
from tests.prune.models import build


@torch.inference_mode()
def test_a_row_with_tokens_to_feed_chooses_none() -> None:
    model, protocol = build("qwen3"), make_protocol([4], FORMAT, vocabulary_size=53)
    cache = SlotCache(6, 2, 16)
    steps = SingleSteps(SlotForward(model, attention_windows(model.config)), cache, protocol)
    long, short = (ForcedThought(Request(name, 0, ids), protocol) for name, ids in (("l", (2, 5, 9)), ("s", (2,))))
    steps.advance([long, short])
    assert (long.queue, long.length, short.length) == ([5, 9], 1, 1)
    own = int(model(input_ids=torch.tensor([[2]])).logits[0, -1].argmax())
    assert short.queue == [own]
