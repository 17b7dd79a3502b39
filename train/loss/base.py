"""What a loss is: `loss(model, batch) -> (loss, metrics)`, summed over the labelled positions of one micro batch.

The trainer divides by the labels of the whole global batch and adds the metrics up (`train.trainer`), so a loss needs
to know nothing of accumulation, ranks or logging. It runs inside the forward of whatever wraps the model
(`inside_forward`), so that the hooks of DeepSpeed see it: under ZeRO-3 they gather weights and arm the reduction of
gradients.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import torch
from transformers import PreTrainedModel

from train.loss.positions import BESIDE, POSITIONS, positions_of

Batch = dict[str, Any]
"""input_ids and labels [rows, tokens], with what else the model's forward takes"""

Metrics = dict[str, torch.Tensor]
"""sums over the labelled positions of a micro batch, scalars; `labelled` is how many there are"""


class Loss(Protocol):
    """loss: nats, summed over labelled positions, with its graph; metrics: `labelled`, and whatever else is logged as a
    mean over them. model: the causal model itself, under its adapters and without its wrappers."""

    def __call__(self, model: PreTrainedModel, batch: Batch) -> tuple[torch.Tensor, Metrics]: ...


class NegativeLogLikelihood(ABC):
    """The negative log-likelihood of labelled positions. Prompts and padding pass no output layer.

    Subclasses say how hidden states become log-probabilities without whole logits.
    """

    def __call__(self, model: PreTrainedModel, batch: Batch) -> tuple[torch.Tensor, Metrics]:
        hidden, targets = labelled_positions(model, batch)
        return self.summed(model, hidden, targets)

    @abstractmethod
    def summed(
        self, model: PreTrainedModel, hidden: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, Metrics]:
        """hidden [positions, hidden] predicts targets [positions]."""


def labelled_positions(model: PreTrainedModel, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states [positions, hidden] that predict a label, and those labels [positions]."""
    inputs = {name: value for name, value in batch.items() if name not in BESIDE}
    hidden = model.base_model(**inputs, use_cache=False).last_hidden_state  # [rows, tokens, hidden]
    positions = batch[POSITIONS] if POSITIONS in batch else positions_of(batch["labels"])
    # a label is predicted by the position before it
    return hidden.flatten(0, 1).index_select(0, positions), batch["labels"].flatten().index_select(0, positions + 1)


def inside_forward(wrapper: torch.nn.Module, model: PreTrainedModel, loss: Loss, batch: Batch) -> tuple[Any, Metrics]:
    """What `loss` gives, computed in place of `model`'s forward in a call of `wrapper`, which has `model` inside.

    An engine and an adapter do things before and after their forward that a loss needs, and hand the batch and the
    result on as they are. The model's own forward is back before `loss` is called.
    """
    attributes = vars(model)
    before = {"forward": attributes["forward"]} if "forward" in attributes else {}  # TRL has put one there

    def restore() -> None:
        attributes.pop("forward", None)
        attributes.update(before)

    def instead(**inputs: Any) -> tuple[Any, Metrics]:
        restore()
        return loss(model, inputs)

    attributes["forward"] = instead
    try:
        result: tuple[Any, Metrics] = wrapper(**batch)
        return result
    finally:
        restore()
