"""Tokens per second and the share of a chip's peak, by hand."""

from __future__ import annotations

import pytest
import torch

from train.speed import Speedometer, flops_per_token, peak_flops, speedometer


@pytest.mark.parametrize(
    ("card", "flops"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("Some Card", None),
    ],
)
def test_a_card_is_known_by_its_name(card: str, flops: float | None) -> None:
    assert peak_flops(card) == flops


@pytest.mark.parametrize(("trainable", "flops"), [(100, 600.0), (0, 400.0), (10, 420.0)])
def test_a_token_of_a_model_of_a_hundred_parameters(trainable: int, flops: float) -> None:
    assert flops_per_token(100, trainable) == flops


def test_the_share_of_the_peak() -> None:
    """0.6e9 parameters, 40,000 tokens/s: 6 * 0.6e9 * 40,000 = 144e12 of 989e12."""
    row = Speedometer(6 * 0.6e9, 989e12).row(80_000, 2.0)
    assert row == {"tokens_per_second": 40_000.0, "mfu": 0.1456}


def test_without_time_there_is_no_speed() -> None:
    assert Speedometer(1.0, 1.0).row(5, 0.0) == {"tokens_per_second": None, "mfu": None}


def test_frozen_parameters_need_no_gradients_of_their_own() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 5, bias=False), torch.nn.Linear(5, 2, bias=False))
    model[0].requires_grad_(False)
    assert speedometer(model, "float32", 2) == Speedometer(4.0 * 30 + 2.0 * 10, None)
