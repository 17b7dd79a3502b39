"""Where the labels of a batch are, found on the host while the batch is made.

Choosing labelled positions by a mask asks a GPU how many there are, and the host waits for the whole forward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

IGNORED = -100
POSITIONS = "labelled_positions"
"""the key of a batch under which its positions are"""


def positions_of(labels: torch.Tensor) -> torch.Tensor:
    """labels [rows, tokens] to int64 [labelled]: places in the flattened rows whose next token has a label."""
    rows, places = (labels[:, 1:] != IGNORED).nonzero(as_tuple=True)
    return rows * labels.shape[1] + places


@dataclass(frozen=True)
class WithPositions:
    """The batches of `collate`, each with its positions."""

    collate: Callable[[Any], dict[str, Any]]

    def __call__(self, examples: Any) -> dict[str, Any]:
        batch = self.collate(examples)
        return {**batch, POSITIONS: positions_of(batch["labels"])}
