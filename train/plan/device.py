"""What a GPU holds for a rank beside the tensors that a run asks for: CUDA's context with the kernels that are loaded,
workspaces, buffers of NCCL, and what the allocator keeps between tensors. An out-of-memory error depends on all of it.

`make gpu` compares the sums with `torch.cuda.max_memory_reserved` and what the device shows beyond it (docs/gpu.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from train.environment import expands_segments

MIB = 1 << 20
CONTEXT_MIB = {"H200": 560, "H100": 560, "A100": 480}
UNKNOWN_CONTEXT_MIB = 560
KERNELS_MIB = 240
"""what cuBLAS, NCCL and Triton load into a context while a run trains"""
CONTEXT_AT_MOST_MIB = 2048
"""more than that beside a process's own tensors belongs to other processes, too"""

HOPPER = ("H100", "H200", "GH200", "B100", "B200", "GB200")
WORKSPACE_MIB = {"Hopper": 32, "others": 8}
HANDLES = 2
"""of cuBLAS: the thread that runs forward has one, autograd's thread another, each with a workspace"""

NCCL_MIB = 512
KEPT_SHARE = {"expandable": 0.04, "fixed": 0.18}
"""reserved beyond what is allocated, as a share of it. fixed: measured once (H100, commit 4af098d, 0.6B full: 13.7 GiB
reserved for 11.6 allocated); expandable: assumed, not measured"""


@dataclass(frozen=True)
class Overhead:
    """Bytes of the libraries beside tensors of a run, and the share of all tensors that the allocator keeps on top."""

    workspaces: int = 0
    communication: int = 0
    kept_share: float = 0.0


NO_OVERHEAD = Overhead()


def overhead(card: str, ranks: int, environment: Mapping[str, str]) -> Overhead:
    """On a GPU called `card` ("" where it is not known: taken for a Hopper), with the allocator that a run gets."""
    is_hopper = not card or any(name in card for name in HOPPER)
    return Overhead(
        workspaces=HANDLES * WORKSPACE_MIB["Hopper" if is_hopper else "others"] * MIB,
        communication=NCCL_MIB * MIB if ranks > 1 else 0,
        kept_share=KEPT_SHARE["expandable" if expands_segments(environment) else "fixed"],
    )


def assumed_context(card: str) -> int:
    """Bytes of a context with its kernels on a card of that name."""
    known = next((size for name, size in CONTEXT_MIB.items() if name in card), UNKNOWN_CONTEXT_MIB)
    return (known + KERNELS_MIB) * MIB


def measured_context() -> int | None:
    """Bytes that this process's context takes on the GPU at hand, with the kernels of a product and what a run loads
    later; None where there is no GPU, or where others use it too, so that nothing can be told."""
    if not torch.cuda.is_available():
        return None
    square = torch.ones(256, 256, dtype=torch.bfloat16, device="cuda")
    (square @ square).sum().item()
    free, total = torch.cuda.mem_get_info()
    taken = total - free - torch.cuda.memory_reserved()
    return taken + KERNELS_MIB * MIB if taken <= CONTEXT_AT_MOST_MIB * MIB else None


def card_at_hand() -> str:
    """The name of this machine's GPU; "" where there is none."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""
