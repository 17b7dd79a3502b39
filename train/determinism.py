"""The recipe's `deterministic`: the same bits from the same run, on a GPU too."""

from __future__ import annotations

import os
from typing import Any

import torch

WORKSPACE = ":4096:8"


def be_deterministic(wanted: bool) -> None:  # the recipe's own switch, passed on
    """Where it is wanted, torch, cuBLAS, cuDNN and FlashAttention give the same bits every time, or fail by name.

    cuBLAS reads its setting when CUDA starts, so this must come before anything touches a GPU.
    """
    if not wanted:
        return
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = WORKSPACE
    os.environ["FLASH_ATTENTION_DETERMINISTIC"] = "1"
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def determinism() -> dict[str, Any]:
    """How deterministic this process is, for the run record."""
    return {
        "algorithms": torch.are_deterministic_algorithms_enabled(),
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "cublas_workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    }
