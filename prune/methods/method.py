"""The interface of a pruning method.

A new method is a section in `recipes/prune.py`, a file in this folder and an entry in `table.METHODS`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from torch import Tensor
from transformers import PreTrainedModel

from prune.channels import Channels
from recipes.errors import UserError

Batches = Sequence[Mapping[str, Tensor]]
"""calibration traces, right-padded: `input_ids`, `attention_mask` and `labels`, each [rows, longest]; a label is the
token itself, or `IGNORED` if it is not learned"""


@dataclass(frozen=True)
class Choice:
    """A method's decision about one model. Layer indices are 0-based in the model that it is given."""

    removed: tuple[int, ...]
    scores: tuple[float, ...] = ()
    """one score per layer of the model; empty if the method has none"""
    merged: tuple[tuple[int, ...], ...] = ()
    """groups of layers folded into their first one, see `PrunePlan.merged`; the folded ones are in `removed`"""
    channels: Channels | None = None
    """the MLP channels that stay; None if layers keep their width"""
    ranks: Mapping[str, int] = field(default_factory=dict)
    """matrices whose rank is lowered, see `PrunePlan.ranks`"""
    scales: Mapping[str, Tensor] = field(default_factory=dict)
    """for each of these matrices, the size of its inputs, [columns], which weights the error"""
    details: Mapping[str, Any] = field(default_factory=dict)
    """other measurements for the plan: plain JSON values"""


class Method(Protocol):
    """A method with its recipe section."""

    @property
    def count(self) -> int:
        """The number of layers it removes; a lower bound if that depends on the weights."""

    @property
    def calibration_traces(self) -> int:
        """The maximum number of traces it measures on; if 0, no traces are prepared."""

    def check(self, total: int) -> None:
        """Raises UserError if it cannot be applied to a model of `total` layers. Needs no weights."""

    def choose(self, model: PreTrainedModel, batches: Batches) -> Choice:
        """The layers to remove from `model`, which is left unchanged. `batches` is empty if it needs no traces."""


@runtime_checkable
class Narrowing(Protocol):
    """A method that changes layers instead of removing them, and so depends on more of a model than its depth."""

    def check_config(self, config: Any) -> None:
        """Raises UserError if it cannot be applied to a model of this config. Needs no weights."""

    def config_values(self, config: Any) -> dict[str, Any]:
        """The config values it changes, as far as they are known before measuring (otherwise the largest possible)."""


class Counted:
    """The common part of methods whose section sets the number of layers and of calibration traces."""

    section: Any

    @property
    def count(self) -> int:
        return int(self.section.layers)

    @property
    def calibration_traces(self) -> int:
        return int(self.section.calibration_traces)

    def check(self, total: int) -> None:
        check_count(total, self.count)


def check_count(total: int, count: int) -> None:
    """UserError unless removing `count` of `total` layers removes one and keeps one."""
    if not 1 <= count < total:
        raise UserError(f"prune: {count} of {total} layers would be removed; between 1 and {total - 1} can be")


def least_of_blocks(blocks: Mapping[tuple[int, ...], float], total: int) -> tuple[float, ...]:
    """The score of each of `total` layers from the scores of blocks: the least of any block that contains it."""
    return tuple(min(score for block, score in blocks.items() if i in block) for i in range(total))


def checked_means(sums: Mapping[int, float], count: int, what: str) -> dict[int, float]:
    """The means, by layer, of what was summed over `count` tokens or traces.

    what: the quantity, for messages. Raises UserError if there is no token, or if a mean is not finite.
    """
    if count == 0:
        raise UserError(
            "prune: no calibration tokens; give at least one trace (prune.calibration_traces, data.traces) or text "
            "(prune.calibration)"
        )
    means = {layer: total / count for layer, total in sums.items()}
    broken = [layer for layer, mean in means.items() if not math.isfinite(mean)]
    if broken:
        raise UserError(f"prune: the {what} {broken} is not finite; use model.dtype=float32 or check the weights")
    return means
