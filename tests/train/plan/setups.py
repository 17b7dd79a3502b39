"""The sizes and set-ups that the tests of memory share."""

from __future__ import annotations

from train.plan.states import Setup
from train.sizes import Sizes

QWEN3 = {
    "8B": Sizes(
        unpruned=8_190_735_360,
        total=8_190_735_360,
        trainable=8_190_735_360,
        largest=151_936 * 4096,
        persistent=308_224,
        head=151_936 * 4096,
        layers=36,
        tied=False,
    ),
    "32B": Sizes(
        unpruned=32_762_123_264,
        total=32_762_123_264,
        trainable=32_762_123_264,
        largest=151_936 * 5120,
        persistent=676_864,
        head=151_936 * 5120,
        layers=64,
        tied=False,
    ),
}
GPU = Setup(
    ranks=8,
    device="cuda",
    stage=2,
    weight_bytes=2,
    bucket_numel=50_000_000,
    accumulation_steps=1,
    optimizer="adamw_torch_fused",
)
THOUSAND = Sizes(unpruned=1200, total=1000, trainable=1000, largest=100, persistent=50, head=100, layers=2, tied=True)
CPU = Setup(
    ranks=1,
    device="cpu",
    stage=0,
    weight_bytes=4,
    bucket_numel=300,
    accumulation_steps=1,
    optimizer="adamw_torch_fused",
)
