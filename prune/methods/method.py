"""What a pruning method is.

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
token itself, or `IGNORED` where it is not learned"""


@dataclass(frozen=True)
class Choice:
    """What a method decides about one model. Layer indices are 0-based in the model that it is given."""

    removed: tuple[int, ...]
    scores: tuple[float, ...] = ()
    """one score per layer of the model; empty where the method gives none"""
    merged: tuple[tuple[int, ...], ...] = ()
    """groups of layers folded into their first one, see `PrunePlan.merged`; the folded ones are in `removed`"""
    channels: Channels | None = None
    """the MLP channels that stay; None where layers keep their width"""
    ranks: Mapping[str, int] = field(default_factory=dict)
    """matrices whose rank is lowered, see `PrunePlan.ranks`"""
    scales: Mapping[str, Tensor] = field(default_factory=dict)
    """of each of these matrices the size of its inputs, [columns], by which the error is weighed"""
    details: Mapping[str, Any] = field(default_factory=dict)
    """what else it measured, for the plan: plain JSON values"""


class Method(Protocol):
    """A method together with its section of the recipe."""

    @property
    def count(self) -> int:
        """How many layers it removes; at least so many where that depends on the weights."""

    @property
    def calibration_traces(self) -> int:
        """On how many traces it measures, at most; 0 where it needs none, and then none are prepared."""

    def check(self, total: int) -> None:
        """UserError where it cannot be applied to a model of `total` layers. Needs no weights."""

    def choose(self, model: PreTrainedModel, batches: Batches) -> Choice:
        """The layers to remove from `model`, which is left as it was. `batches` is empty where it needs no traces."""


@runtime_checkable
class Narrowing(Protocol):
    """A method that changes layers in place of removing them, and so depends on more of a model than their number."""

    def check_config(self, config: Any) -> None:
        """UserError where it cannot be applied to a model of this config. Needs no weights."""

    def config_values(self, config: Any) -> dict[str, Any]:
        """What it changes of the config, as far as that is known before anything is measured (else the most)."""


class Counted:
    """What methods share whose section says how many layers go, and on how many calibration traces is measured."""

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
    """The score of each of `total` layers, from those of blocks of layers: the least of any block that holds it."""
    return tuple(min(score for block, score in blocks.items() if i in block) for i in range(total))


def checked_means(sums: Mapping[int, float], count: int, what: str) -> dict[int, float]:
    """The means of what was summed over `count` tokens or traces, by layer.

    what: what they measure. UserError where there is no token, or where a mean is not finite.
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
