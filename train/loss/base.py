"""The interface of losses: `loss(model, batch) -> (loss, metrics)`, summed over the labelled positions of a micro
batch.

The trainer divides by the number of labels in the global batch and sums the metrics (`train.trainer`), so a loss is
independent of accumulation, ranks and logging. It runs inside the forward pass of the model's wrapper
(`inside_forward`), so that DeepSpeed's hooks run: under ZeRO-3 they gather weights and set up gradient reduction.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import torch
from transformers import PreTrainedModel

from train.loss.positions import BESIDE, POSITIONS, positions_of

Batch = dict[str, Any]
"""input_ids and labels [rows, tokens], and other arguments of the model's forward"""

Metrics = dict[str, torch.Tensor]
"""scalar sums over the labelled positions of a micro batch; `labelled` is their number"""


class Loss(Protocol):
    """loss: nats, summed over labelled positions, with its graph; metrics: `labelled`, and sums that are logged as
    means over the positions. model: the causal model itself, with its adapters and without its wrappers."""

    def __call__(self, model: PreTrainedModel, batch: Batch) -> tuple[torch.Tensor, Metrics]: ...


class NegativeLogLikelihood(ABC):
    """The negative log-likelihood of labelled positions. Prompts and padding skip the output layer.

    Subclasses compute log-probabilities from hidden states without the full logits.
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
    # the position before a label predicts it
    return hidden.flatten(0, 1).index_select(0, positions), batch["labels"].flatten().index_select(0, positions + 1)


def inside_forward(wrapper: torch.nn.Module, model: PreTrainedModel, loss: Loss, batch: Batch) -> tuple[Any, Metrics]:
    """Returns the result of `loss`, computed in place of `model`'s forward during a call of `wrapper`, which contains
    it.

    Engines and adapters do work before and after their forward that a loss needs, and pass batch and result through
    unchanged. The model's own forward is restored before `loss` is called.
    """
    attributes = vars(model)
    before = {"forward": attributes["forward"]} if "forward" in attributes else {}  # TRL may have replaced it

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
