"""Evaluation that leaves no trace in training: modes, random states and attention come back, whatever happens."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from transformers import PreTrainedModel

from eval.engines.cpu_linear import onednn_linears
from eval.engines.slot_attention import SLOTS


def _devices() -> list[int]:
    """This process's own GPU; by default fork_rng would initialise every GPU of the machine, and warn."""
    return [torch.cuda.current_device()] if torch.cuda.is_available() else []


def _make_trainable(model: PreTrainedModel) -> None:
    """Copies the tensors that modules have cached in inference mode, such as frequencies of a rotary embedding that
    grow with the length: autograd would refuse them in all later training."""
    for module in model.modules():
        for tensors in (module.__dict__, module._buffers):
            for name, value in tensors.items():
                if isinstance(value, torch.Tensor) and value.is_inference():
                    tensors[name] = value.clone()


@contextmanager
def quiet(model: PreTrainedModel) -> Iterator[None]:
    """Evaluation mode (no dropout or checkpointing), slot attention or eager in place of SDPA and FlashAttention (which
    takes no masks of slots), on a CPU oneDNN's products (`eval.engines.cpu_linear`).

    All is restored at the end.
    """
    modes = [(module, module.training) for module in model.modules()]  # one by one: a frozen block may be in eval mode
    states = random.getstate(), np.random.get_state()
    implementation = model.config._attn_implementation
    try:
        with torch.random.fork_rng(_devices()), onednn_linears(model):
            model.eval()
            if "flash" in implementation or implementation == "sdpa":
                model.set_attn_implementation(SLOTS if model._supports_sdpa else "eager")
            yield
    finally:
        for module, training in modes:
            module.training = training
        _make_trainable(model)
        if model.config._attn_implementation != implementation:
            model.set_attn_implementation(implementation)
        random.setstate(states[0])
        np.random.set_state(states[1])
