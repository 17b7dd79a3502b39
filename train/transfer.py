"""Asynchronous copies of numbers from a GPU to the host.

`float(tensor)` waits for all queued GPU work, and then the GPU is idle until more work is queued. A copy that starts
when the number is computed has arrived by the time it is read, after the next work was queued.
"""

from __future__ import annotations

import torch


class Transfer:
    """The number in `value` [], copied now and read later; on a CPU it is simply kept."""

    def __init__(self, value: torch.Tensor) -> None:
        self.arrived: torch.cuda.Event | None = None
        self.host = value.detach()
        if value.device.type == "cuda":
            # only copies to page-locked memory are asynchronous
            self.host = torch.empty((), dtype=value.dtype, pin_memory=True)
            self.host.copy_(value.detach(), non_blocking=True)
            self.arrived = torch.cuda.Event()
            self.arrived.record()

    def read(self) -> float:
        """The number; waits only for the work that was queued before the copy."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return float(self.host)
