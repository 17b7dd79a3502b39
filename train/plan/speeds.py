"""Measured speeds of training by card, and the speed of a run on such a card, scaled by its FLOPs.

Each row is a measured run, never a data sheet's figure. A row applies to runs with the same card, the same kind of
training (all parameters, or adapters) and a similar size: small models leave most of a chip idle, so FLOPs per second
differ between sizes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

NEAR = 8.0
"""a row applies if the FLOPs per token of run and row differ by at most this factor"""
OTHER_CARDS = ("NVL", "PCIe")
"""slower cards whose names begin with the same word as a row's"""


@dataclass(frozen=True)
class MeasuredSpeed:
    """One measured run in bfloat16 on one GPU with packed rows. flops_per_token: including recomputation."""

    card: str
    adapter: bool
    flops_per_token: float
    tokens_per_second: float
    source: str

    @property
    def flops_per_second(self) -> float:
        return self.flops_per_token * self.tokens_per_second


SPEEDS = (
    # 0.6B of 26 layers: 565 M parameters, 6 FLOPs each without checkpointing; rows of 8,192, micro batch 1 x 2, ZeRO-2
    MeasuredSpeed("H100", False, 6 * 565e6, 28_569, "H100 80 GB, 0.6B full, commit 4af098d, torch 2.11"),
    # 8B of 34 layers with LoRA r 64: 7.97 G parameters of which 0.16 G train; 6 each with checkpointing, and 2
    MeasuredSpeed(
        "H100", True, 6 * 7.97e9 + 2 * 0.164e9, 6_300, "H100 80 GB, 8B LoRA r 64, commit 4af098d, torch 2.11"
    ),
)
"""both with cuDNN's attention disabled, as it always is now (train/processes.py)"""


def speed_of(
    card: str, adapter: bool, flops_per_token: float, rows: Iterable[MeasuredSpeed] = SPEEDS
) -> MeasuredSpeed | None:
    """The most similar measured run; None if none is similar enough."""
    fitting = [row for row in rows if row.adapter is adapter and _same_card(row.card, card)]
    apart = {
        max(row.flops_per_token, flops_per_token) / min(row.flops_per_token, flops_per_token): row for row in fitting
    }
    nearest = min(apart, default=NEAR + 1)
    return apart[nearest] if nearest <= NEAR else None


def _same_card(row: str, card: str) -> bool:
    words = card.replace("-", " ").split()
    return row in words and not any(other in words for other in OTHER_CARDS)
