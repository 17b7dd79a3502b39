"""Numbers on their way from a GPU to the host, which nobody waits for longer than they need.

`float(tensor)` waits for all that the GPU was told before, so the GPU then stands idle until it is told more. A copy
that is sent off when the number is computed has long arrived when it is read after the next work was handed over.
"""

from __future__ import annotations

import torch


class Transfer:
    """The number in `value` [], sent off now and read later; on a CPU it is simply kept."""

    def __init__(self, value: torch.Tensor) -> None:
        self.arrived: torch.cuda.Event | None = None
        self.host = value.detach()
        if value.device.type == "cuda":
            # only page-locked memory is written to while the host goes on
            self.host = torch.empty((), dtype=value.dtype, pin_memory=True)
            self.host.copy_(value.detach(), non_blocking=True)
            self.arrived = torch.cuda.Event()
            self.arrived.record()

    def read(self) -> float:
        """The number; waits for the work before it alone."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return float(self.host)
