"""The recipe's `deterministic`: bit-identical results from the same run, also on a GPU.

The kernels of a run on a GPU, and why their results are reproducible:

- matrix products: cuBLAS with a separate workspace (CUBLAS_WORKSPACE_CONFIG), cuDNN without benchmarking kernels
- attention, also of packed rows: torch's FlashAttention and memory-efficient kernels, which use a deterministic
  backward pass under `torch.use_deterministic_algorithms`; FlashAttention 2 (flash-attn) under
  FLASH_ATTENTION_DETERMINISTIC
- norms, rotary embedding, SwiGLU (Liger) and the loss (TRL): they sum in a fixed order, without atomics
- embeddings, indexing by positions, AdamW: torch, which raises an error if it has no deterministic kernel

`refusals` lists everything else.
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
    """If `wanted`, makes torch, cuBLAS, cuDNN and FlashAttention bit-reproducible, or fail with the operation's name.

    cuBLAS reads its setting when CUDA starts, so call this before anything uses a GPU.
    """
    if not wanted:
        return
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = WORKSPACE
    os.environ["FLASH_ATTENTION_DETERMINISTIC"] = "1"
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def refusals(recipe: Recipe, device: str) -> Iterator[str]:
    """Each key of a deterministic recipe whose kernels are not known to be bit-reproducible on `device` (cuda, cpu)."""
    if not recipe.deterministic or device != "cuda":
        return
    optimizer = str(setting(recipe.trainer, "optim"))
    if optimizer not in IN_TORCH:
        yield f"trainer.optim={optimizer} uses kernels of another package; use adamw_torch_fused"
    if recipe.adapter.method == "qlora":
        yield "adapter.method=qlora uses kernels of bitsandbytes; use lora"
    if recipe.trainer.get("torch_compile"):
        yield "trainer.torch_compile=true chooses kernels by timing them; leave it out"


def check_deterministic(recipe: Recipe, device: str) -> None:
    """UserError if the recipe is deterministic and one of its keys does not allow that."""
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
