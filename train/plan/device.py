"""GPU memory of a rank beyond a run's tensors: the CUDA context with its loaded kernels, workspaces, NCCL buffers, and
what the allocator keeps between tensors. All of it counts towards an out-of-memory error.

`make gpu` compares the sums with `torch.cuda.max_memory_reserved` and with the device's own figure (docs/gpu.md).
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
"""bytes that cuBLAS, NCCL and Triton load into a context during training"""
CONTEXT_AT_MOST_MIB = 2048
"""if a process uses more than this beyond its own tensors, other processes share the GPU"""

HOPPER = ("H100", "H200", "GH200", "B100", "B200", "GB200")
WORKSPACE_MIB = {"Hopper": 32, "others": 8}
HANDLES = 2
"""cuBLAS handles: one for the thread of the forward pass, one for autograd's, each with a workspace"""

NCCL_MIB = 512
KEPT_SHARE = {"expandable": 0.04, "fixed": 0.18}
"""memory reserved beyond what is allocated, as a share of the latter. fixed: measured once (H100, commit 4af098d, 0.6B
full: 13.7 GiB reserved for 11.6 allocated); expandable: assumed, not measured"""


@dataclass(frozen=True)
class Overhead:
    """Bytes of the libraries beyond a run's tensors, and the allocator's extra as a share of all tensors."""

    workspaces: int = 0
    communication: int = 0
    kept_share: float = 0.0


NO_OVERHEAD = Overhead()


def overhead(card: str, ranks: int, environment: Mapping[str, str]) -> Overhead:
    """The overhead on a GPU named `card` ("" if unknown, then treated as a Hopper), with the allocator of a run."""
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
    """Bytes of this process's context on the local GPU, with the kernels of a matrix product and what a run loads
    later; None without a GPU, or if other processes use it, since the figure would then be meaningless."""
    if not torch.cuda.is_available():
        return None
    square = torch.ones(256, 256, dtype=torch.bfloat16, device="cuda")
    (square @ square).sum().item()
    free, total = torch.cuda.mem_get_info()
    taken = total - free - torch.cuda.memory_reserved()
    return taken + KERNELS_MIB * MIB if taken <= CONTEXT_AT_MOST_MIB * MIB else None


def card_at_hand() -> str:
    """The name of this machine's GPU; "" if there is none."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""
