"""Runs on a CPU give freed tensors back to the system, where a model is large enough for that to count."""

from __future__ import annotations

import ctypes
import os

import torch

LARGE_MODEL_BYTES = 128 << 20
MAPPED_BYTES = 1 << 20
M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
GIVEN = "MALLOC_MMAP_THRESHOLD_"


def return_freed_memory(model: torch.nn.Module) -> bool:
    """Has glibc map every tensor of a MiB and more by itself; returns whether it does now.

    By itself glibc raises that size up to 32 MiB as tensors are freed, and what lies in its heap below a living tensor
    stays with the process: a quarter more memory in a LoRA run of 160 M parameters under ZeRO-3. Mapping costs time
    where tensors are small, a tenth in the embedded model, so small models are left alone. A size that the environment
    gives stands. Nothing happens on a GPU or with another libc. What ZeRO-3 has sharded already counts whole.
    """
    parameters = list(model.parameters())
    on_cpu = all(parameter.device.type == "cpu" for parameter in parameters)
    size = sum(parameter.element_size() * getattr(parameter, "ds_numel", parameter.numel()) for parameter in parameters)
    change = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if not on_cpu or size < LARGE_MODEL_BYTES or GIVEN in os.environ or change is None:
        return False
    return bool(change(M_MMAP_THRESHOLD, MAPPED_BYTES))
