"""The loss that a run minimises."""

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
    """Data that a loss reads for each label of a trace."""

    def of_row(self, row: int) -> np.ndarray:
        """Array [labelled, …] for a row of the prepared set, in the order of its labels."""
        ...


class LossOfRun(Protocol):
    """A run's loss before the model in training exists.

    If it needs a second model, frozen and unsharded on every rank, its constructor loads it before DeepSpeed's
    configuration is active (`train.arguments.make_arguments`), since under ZeRO-3 every later model is sharded.
    """

    @property
    def columns(self) -> Mapping[str, Column]:
        """Further columns that the batches must contain, by key (`train.loss.positions`)."""
        ...

    def facts(self) -> dict[str, Any]:
        """Facts for run.json that must not change on resume: name of the loss, fingerprint of a second model."""
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
    """Tiled for a plain head in float32 on a CPU; otherwise TRL's kernels."""
    return TiledLoss() if is_plain(model, device) else FusedLoss()


@dataclass(frozen=True)
class DistillationOfRun:
    """The divergence from a teacher that runs during training.

    open: returns the teacher for `device`; teacher: its fingerprint.
    """

    section: DistillLoss
    open: Callable[[torch.device], Teacher]
    teacher: str
    columns: Mapping[str, Column] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        # the location of the teacher's weights does not change its outputs
        return {**self.section.model_dump(mode="json", exclude={"teacher"}), "teacher": self.teacher}

    def for_model(self, model: PreTrainedModel, device: torch.device) -> Loss:
        teacher = self.open(device)
        # both must separate packed traces; the collator has switched the attention of `model` for that
        teacher.model.set_attn_implementation(model.config._attn_implementation)
        return Distillation(self.section, teacher, _beside(self.section, model, device))


@dataclass(frozen=True)
class StoredDistillationOfRun:
    """The divergence from a teacher's distributions stored in a folder; `teacher` identifies them by hashes."""

    section: DistillLoss
    teacher: Mapping[str, Any]
    columns: Mapping[str, Column]

    def facts(self) -> dict[str, Any]:
        return {**self.section.model_dump(mode="json", exclude={"teacher"}), "teacher": dict(self.teacher)}

    def for_model(self, model: PreTrainedModel, device: torch.device) -> Loss:
        return StoredDistillation(self.section, _beside(self.section, model, device))


def _beside(section: DistillLoss, model: PreTrainedModel, device: torch.device) -> NegativeLogLikelihood | None:
    return likelihood_of(model, device) if section.nll_weight else None
