"""Which loss is computed how."""

from __future__ import annotations

import pytest
import torch

from tests.prune.models import build
from train.loss.choose import NegativeLogLikelihoodOfRun
from train.loss.fused import FusedLoss
from train.loss.tiled import TiledLoss


@pytest.mark.parametrize(
    ("family", "device", "kind"),
    [("qwen3", "cpu", TiledLoss), ("gemma2", "cpu", FusedLoss), ("qwen3", "cuda", FusedLoss)],
)
def test_a_plain_head_on_a_cpu_goes_by_tiles(family: str, device: str, kind: type) -> None:
    assert type(NegativeLogLikelihoodOfRun().for_model(build(family), torch.device(device))) is kind


def test_it_needs_no_second_model() -> None:
    assert NegativeLogLikelihoodOfRun().facts() == {"name": "nll"}
