"""Bytes that tensors take are counted as they come and go, without the tensors."""

from __future__ import annotations

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from train.plan.live_bytes import LiveBytes


def test_the_peak_holds_what_was_there_at_once() -> None:
    with LiveBytes([]) as live:
        kept = torch.zeros(100)
        lost = torch.zeros(1000)
        del lost
        torch.zeros(10)
    assert (live.now, live.peak, kept.numel()) == (400, 4400, 100)


def test_a_view_and_a_known_tensor_are_nothing_new() -> None:
    known = torch.zeros(100)
    with LiveBytes([known]) as live:
        views = known.view(10, 10), known[5:]
    assert (live.peak, len(views)) == (0, 2)


def test_fake_tensors_count_as_real_ones() -> None:
    with FakeTensorMode(), LiveBytes([]) as live:
        one = torch.empty(1 << 20, 1 << 10, dtype=torch.bfloat16)
    assert live.now == one.numel() * 2
