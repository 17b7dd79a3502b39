"""Which loss a run minimises."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from transformers import PreTrainedModel

from train.loss.base import Loss
from train.loss.fused import FusedLoss
from train.loss.tiled import TiledLoss, is_plain


class LossOfRun(Protocol):
    """A run's loss before the model that trains is there.

    A second model that it needs, frozen and whole on every rank, is loaded when this is made: before DeepSpeed's
    configuration is live (`train.arguments.make_arguments`), since under ZeRO-3 every later model is sharded.
    """

    def facts(self) -> dict[str, Any]:
        """What a resumed run must share, for run.json: the loss's name, and the fingerprint of a second model."""
        ...

    def for_model(self, model: PreTrainedModel, device: torch.device) -> Loss:
        """The loss of `model`, which trains on `device`."""
        ...


class NegativeLogLikelihoodOfRun:
    """The negative log-likelihood of the labels; it needs no second model."""

    def facts(self) -> dict[str, Any]:
        return {"name": "nll"}

    def for_model(self, model: PreTrainedModel, device: torch.device) -> Loss:
        """Tile by tile where the head is plain, in full precision and on a CPU; else on TRL's kernels."""
        return TiledLoss() if is_plain(model, device) else FusedLoss()
