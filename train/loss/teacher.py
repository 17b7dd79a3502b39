"""The frozen model that a loss compares with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from train.loss.base import Batch, inside_forward, labelled_positions


@dataclass(frozen=True)
class Teacher:
    """A model in evaluation mode without gradients.

    offloaded_from: the device to which the weights of its layers come for each forward pass, from main memory; None
    where they lie where they are used. wrapper: the engine that gathers its weights where they are sharded.
    """

    model: PreTrainedModel
    offloaded_from: torch.device | None = None
    wrapper: torch.nn.Module | None = None

    @torch.no_grad()
    def hidden(self, batch: Batch) -> torch.Tensor:
        """Its hidden states at the labelled positions of `batch`, [positions, hidden]."""
        device = self.offloaded_from
        with nullcontext() if device is None else on_device(self.model.base_model, device):
            # an engine counts the steps of its gathering in the forward of the whole model, which a part would skip
            states, _ = inside_forward(self.wrapper or self.model, self.model, labelled_positions, batch)  # type: ignore[arg-type]
        taught: torch.Tensor = states
        return taught


@contextmanager
def on_device(module: torch.nn.Module, device: torch.device) -> Iterator[None]:
    """`module` with its tensors on `device`, which are let go again. What lies in main memory stays there all the time,
    so nothing is copied back: the tensors are never changed."""
    tensors = [*module.parameters(), *module.buffers()]
    kept = [tensor.data for tensor in tensors]
    try:
        for tensor in tensors:
            tensor.data = tensor.data.to(device, non_blocking=True)
        yield
    finally:
        for tensor, data in zip(tensors, kept, strict=True):
            tensor.data = data
