"""What a GPU holds beside the tensors of a run."""

from __future__ import annotations

import pytest
import torch

from train.plan.device import Overhead, assumed_context, measured_context, overhead

MIB = 1 << 20


@pytest.mark.parametrize(
    ("card", "ranks", "environment", "expected"),
    [
        ("NVIDIA H100 80GB HBM3", 1, {}, Overhead(64 * MIB, 0, 0.04)),
        ("", 2, {}, Overhead(64 * MIB, 512 * MIB, 0.04)),
        ("NVIDIA A100-SXM4-80GB", 1, {"PYTORCH_ALLOC_CONF": "expandable_segments:True"}, Overhead(16 * MIB, 0, 0.04)),
        ("NVIDIA H100", 1, {"PYTORCH_CUDA_ALLOC_CONF": "max_split_size_mb:512"}, Overhead(64 * MIB, 0, 0.18)),
    ],
)
def test_workspaces_buffers_and_the_allocators_share(
    card: str, ranks: int, environment: dict[str, str], expected: Overhead
) -> None:
    assert overhead(card, ranks, environment) == expected


@pytest.mark.parametrize(("card", "context"), [("NVIDIA H100 80GB HBM3", 800), ("NVIDIA A100", 720), ("", 800)])
def test_a_context_by_the_cards_name(card: str, context: int) -> None:
    assert assumed_context(card) == context * MIB


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_no_context_is_measured() -> None:
    assert measured_context() is None


@pytest.mark.gpu
def test_the_context_of_a_gpu_that_nobody_else_uses() -> None:
    context = measured_context()
    assert context is None or 200 * MIB < context < 2500 * MIB
