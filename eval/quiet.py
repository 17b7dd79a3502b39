"""Evaluation without side effects on training: modes, random states and attention are restored, whatever happens."""

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
    """This process's own GPU only; by default torch would initialise every GPU of the machine, and warn."""
    return [torch.cuda.current_device()] if torch.cuda.is_available() else []


def _make_trainable(model: PreTrainedModel) -> None:
    """Copies tensors that modules kept from a run in inference mode, such as rotary frequencies that grow with the
    length: autograd never accepts such tensors."""
    for module in model.modules():
        for kept in (module.__dict__, module._buffers):
            for name, value in kept.items():
                if isinstance(value, torch.Tensor) and value.is_inference():
                    kept[name] = value.clone()


@contextmanager
def _without_cudnn_attention() -> Iterator[None]:
    """cuDNN builds a plan for every new length, which takes the host longer than the attention takes the GPU."""
    before = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(False)
    try:
        yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)


@contextmanager
def quiet(model: PreTrainedModel) -> Iterator[None]:
    """Evaluation mode (no dropout or checkpointing), on a CPU with oneDNN's products (`eval.engines.cpu_linear`).

    Attention is that of the slots, or eager if the model has no SDPA: FlashAttention does not support slot masks.
    Mixtures of experts do not compute router losses, which need masks of another shape. Everything is restored at the
    end.
    """
    modes = [(module, module.training) for module in model.modules()]  # one by one: a frozen block may be in eval mode
    states = random.getstate(), np.random.get_state()
    implementation, text = model.config._attn_implementation, model.config.get_text_config()
    routes = getattr(text, "output_router_logits", None)
    try:
        with torch.random.fork_rng(_devices()), onednn_linears(model), _without_cudnn_attention():
            model.eval()
            if routes is not None:
                text.output_router_logits = False
            if implementation != "eager":  # also the split attention of packed rows (`train.packed_attention`)
                model.set_attn_implementation(SLOTS if model._supports_sdpa else "eager")
            yield
    finally:
        for module, training in modes:
            module.training = training
        if routes is not None:
            text.output_router_logits = routes
        _make_trainable(model)
        if model.config._attn_implementation != implementation:
            model.set_attn_implementation(implementation)
        random.setstate(states[0])
        np.random.set_state(states[1])
