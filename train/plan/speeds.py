"""Measured speeds of training by card, and the speed of a run on such a card, scaled by its FLOPs.

A row is a run that was measured, never a data sheet. A run is given a speed where a row has its card, its kind of
training (all parameters, or adapters) and about its size: small models leave most of a chip idle, so far apart the
FLOPs per second differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

NEAR = 8.0
"""rows are used for runs of up to so many times their FLOPs per token, and down to the same part of them"""
OTHER_CARDS = ("NVL", "PCIe")
"""slower cards that share their first word with a row's"""


@dataclass(frozen=True)
class MeasuredSpeed:
    """One measured run in bfloat16 on one GPU with packed rows. flops_per_token: with what is recomputed."""

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
"""both with cuDNN's attention switched off, as it has been since (train/processes.py)"""


def speed_of(
    card: str, adapter: bool, flops_per_token: float, rows: Iterable[MeasuredSpeed] = SPEEDS
) -> MeasuredSpeed | None:
    """The measured run that is nearest to such a run; None where none is near."""
    fitting = [row for row in rows if row.adapter is adapter and _same_card(row.card, card)]
    apart = {
        max(row.flops_per_token, flops_per_token) / min(row.flops_per_token, flops_per_token): row for row in fitting
    }
    nearest = min(apart, default=NEAR + 1)
    return apart[nearest] if nearest <= NEAR else None


def _same_card(row: str, card: str) -> bool:
    words = card.replace("-", " ").split()
    return row in words and not any(other in words for other in OTHER_CARDS)
