"""The recipe's `deterministic`: the same bits from the same run, on a GPU too.

What a run computes with on a GPU, and why its bits are the same each time:

- products: cuBLAS with a workspace of its own (CUBLAS_WORKSPACE_CONFIG), cuDNN without a search for the fastest kernel
- attention, packed rows too: torch's FlashAttention and its memory-efficient kernel, which take another backward pass
  under `torch.use_deterministic_algorithms`; FlashAttention 2 (flash-attn) does under FLASH_ATTENTION_DETERMINISTIC
- norms, rotary embedding, SwiGLU (Liger) and the loss (TRL): their sums are taken in a fixed order, without atomics
- embeddings, chosen positions, AdamW: torch, which fails by name where it has no deterministic kernel

`refusals` names the rest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import torch

from recipes.errors import UserError
from recipes.schema import Recipe
from train.batch import setting
from train.packages import IN_TORCH

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


def refusals(recipe: Recipe, device: str) -> Iterator[str]:
    """Each key of a deterministic recipe whose kernels are not known to give the same bits on `device` (cuda, cpu)."""
    if not recipe.deterministic or device != "cuda":
        return
    optimizer = str(setting(recipe.trainer, "optim"))
    if optimizer not in IN_TORCH:
        yield f"trainer.optim={optimizer} is another package's, with kernels of its own; use adamw_torch_fused"
    if recipe.adapter.method == "qlora":
        yield "adapter.method=qlora computes with kernels of bitsandbytes; use lora"
    if recipe.trainer.get("torch_compile"):
        yield "trainer.torch_compile=true chooses kernels by how fast they were just now; leave it out"


def check_deterministic(recipe: Recipe, device: str) -> None:
    """UserError where the recipe wants the same bits and a key of it does not promise them."""
    refused = list(refusals(recipe, device))
    if refused:
        raise UserError("\n".join(f"deterministic=true: {line}, or deterministic=false" for line in refused))


def determinism() -> dict[str, Any]:
    """How deterministic this process is, for the run record."""
    return {
        "algorithms": torch.are_deterministic_algorithms_enabled(),
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "cublas_workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    }
