"""The positions of labels in a batch, found on the host while the batch is made.

Selecting them by a mask on a GPU would make the host wait for the whole forward pass, to learn their number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

IGNORED = -100
POSITIONS = "labelled_positions"
"""key of a batch for its positions"""
TOKEN_WEIGHTS, TEACHER_IDS, TEACHER_LOGPROBS = "token_weights", "teacher_ids", "teacher_logprobs"
"""keys of columns: weight of each label, the teacher's most likely tokens there, their log-probabilities"""
BESIDE = {"labels", POSITIONS, TOKEN_WEIGHTS, TEACHER_IDS, TEACHER_LOGPROBS}
"""keys of a batch that a model's forward does not take"""


def positions_of(labels: torch.Tensor) -> torch.Tensor:
    """labels [rows, tokens] to int64 [labelled]: positions in the flattened rows whose next token has a label."""
    rows, places = (labels[:, 1:] != IGNORED).nonzero(as_tuple=True)
    return rows * labels.shape[1] + places


@dataclass(frozen=True)
class WithPositions:
    """Adds to each batch of `collate` its positions and the `columns` of its examples: arrays [labelled, …] with one
    entry per label, in the order of the positions, independent of padding."""

    collate: Callable[[Any], dict[str, Any]]
    columns: Sequence[str] = ()

    def __call__(self, examples: Any) -> dict[str, Any]:
        batch = self.collate(examples)
        beside = {
            name: torch.from_numpy(np.concatenate([example[name] for example in examples])) for name in self.columns
        }
        return {**batch, POSITIONS: positions_of(batch["labels"]), **beside}
