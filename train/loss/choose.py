"""Which loss a run minimises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from transformers import PreTrainedModel

from recipes.loss import DistillLoss
from train.loss.base import Loss, NegativeLogLikelihood
from train.loss.distill import Distillation
from train.loss.fused import FusedLoss
from train.loss.stored import StoredDistillation
from train.loss.teacher import Teacher
from train.loss.tiled import TiledLoss, is_plain


class Column(Protocol):
    """What a loss reads beside each label of a trace."""

    def of_row(self, row: int) -> np.ndarray:
        """[labelled, …] of a row of the prepared set, in the order of its labels."""
        ...


class LossOfRun(Protocol):
    """A run's loss before the model that trains is there.

    A second model that it needs, frozen and whole on every rank, is loaded when this is made: before DeepSpeed's
    configuration is live (`train.arguments.make_arguments`), since under ZeRO-3 every later model is sharded.
    """

    @property
    def columns(self) -> Mapping[str, Column]:
        """What the batches must hold beside the labels, by key (`train.loss.positions`)."""
        ...

    def facts(self) -> dict[str, Any]:
        """What a resumed run must share, for run.json: the loss's name, and the fingerprint of a second model."""
        ...

    def for_model(self, model: PreTrainedModel, device: torch.device) -> Loss:
        """The loss of `model`, which trains on `device`."""
        ...


class NegativeLogLikelihoodOfRun:
    """The negative log-likelihood of the labels; it needs no second model."""

    columns: Mapping[str, Column] = {}

    def facts(self) -> dict[str, Any]:
        return {"name": "nll"}

    def for_model(self, model: PreTrainedModel, device: torch.device) -> Loss:
        return likelihood_of(model, device)


def likelihood_of(model: PreTrainedModel, device: torch.device) -> NegativeLogLikelihood:
    """Tile by tile where the head is plain, in full precision and on a CPU; else on TRL's kernels."""
    return TiledLoss() if is_plain(model, device) else FusedLoss()


@dataclass(frozen=True)
class DistillationOfRun:
    """The divergence from a teacher that answers while the run trains.

    open: the teacher, ready for `device`; teacher: its fingerprint.
    """

    section: DistillLoss
    open: Callable[[torch.device], Teacher]
    teacher: str
    columns: Mapping[str, Column] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        # where the teacher's weights lie changes no number that they give
        return {**self.section.model_dump(mode="json", exclude={"teacher"}), "teacher": self.teacher}

    def for_model(self, model: PreTrainedModel, device: torch.device) -> Loss:
        teacher = self.open(device)
        # packed rows must be read apart by both, and the collator has switched the attention of `model` for that
        teacher.model.set_attn_implementation(model.config._attn_implementation)
        return Distillation(self.section, teacher, _beside(self.section, model, device))


@dataclass(frozen=True)
class StoredDistillationOfRun:
    """The divergence from distributions that a teacher has left in a folder, which `teacher` names by hashes."""

    section: DistillLoss
    teacher: Mapping[str, Any]
    columns: Mapping[str, Column]

    def facts(self) -> dict[str, Any]:
        return {**self.section.model_dump(mode="json", exclude={"teacher"}), "teacher": dict(self.teacher)}

    def for_model(self, model: PreTrainedModel, device: torch.device) -> Loss:
        return StoredDistillation(self.section, _beside(self.section, model, device))


def _beside(section: DistillLoss, model: PreTrainedModel, device: torch.device) -> NegativeLogLikelihood | None:
    return likelihood_of(model, device) if section.nll_weight else None
