"""Where the labels of a batch are, found on the host while the batch is made.

Choosing labelled positions by a mask asks a GPU how many there are, and the host waits for the whole forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

IGNORED = -100
POSITIONS = "labelled_positions"
"""the key of a batch under which its positions are"""
TOKEN_WEIGHTS, TEACHER_IDS, TEACHER_LOGPROBS = "token_weights", "teacher_ids", "teacher_logprobs"
"""keys of columns: what each label weighs, the teacher's likeliest tokens there, and their log-probabilities"""
BESIDE = {"labels", POSITIONS, TOKEN_WEIGHTS, TEACHER_IDS, TEACHER_LOGPROBS}
"""keys of a batch that a model's forward does not take"""


def positions_of(labels: torch.Tensor) -> torch.Tensor:
    """labels [rows, tokens] to int64 [labelled]: places in the flattened rows whose next token has a label."""
    rows, places = (labels[:, 1:] != IGNORED).nonzero(as_tuple=True)
    return rows * labels.shape[1] + places


@dataclass(frozen=True)
class WithPositions:
    """The batches of `collate`, each with its positions, and with `columns` of its examples: arrays [labelled, …] with
    an entry for each label, which follow the positions whatever the padding."""

    collate: Callable[[Any], dict[str, Any]]
    columns: Sequence[str] = ()

    def __call__(self, examples: Any) -> dict[str, Any]:
        batch = self.collate(examples)
        beside = {
            name: torch.from_numpy(np.concatenate([example[name] for example in examples])) for name in self.columns
        }
        return {**batch, POSITIONS: positions_of(batch["labels"]), **beside}
