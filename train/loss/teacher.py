"""The frozen teacher model of a loss."""

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

    offloaded_from: the device to which its layers' weights are copied from main memory for each forward pass; None if
    they stay on their device. wrapper: the engine that gathers its weights if they are sharded.
    """

    model: PreTrainedModel
    offloaded_from: torch.device | None = None
    wrapper: torch.nn.Module | None = None

    @torch.no_grad()
    def hidden(self, batch: Batch) -> torch.Tensor:
        """Its hidden states at the labelled positions of `batch`, [positions, hidden]."""
        device = self.offloaded_from
        with nullcontext() if device is None else on_device(self.model.base_model, device):
            # an engine tracks gathering in the forward of the whole model; calling a part of it would skip that
            states, _ = inside_forward(self.wrapper or self.model, self.model, labelled_positions, batch)  # type: ignore[arg-type]
        taught: torch.Tensor = states
        return taught


@contextmanager
def on_device(module: torch.nn.Module, device: torch.device) -> Iterator[None]:
    """`module` with its tensors on `device`, which are freed afterwards. The originals stay in main memory; nothing is
    copied back, since the tensors never change."""
    tensors = [*module.parameters(), *module.buffers()]
    kept = [tensor.data for tensor in tensors]
    try:
        for tensor in tensors:
            tensor.data = tensor.data.to(device, non_blocking=True)
        yield
    finally:
        for tensor, data in zip(tensors, kept, strict=True):
            tensor.data = data
