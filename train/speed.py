"""Training speed: tokens per second, share of the chip's peak, and memory.

MFU (model FLOPs utilisation; PaLM, arXiv 2204.02311, appendix B) counts only the FLOPs that the computation needs, so
recomputed layers do not raise it. With N parameters of which T train, a token needs 2 N in the forward pass, 2 N for
the gradients of activations and 2 T for those of weights: 6 N in full training, about 4 N with adapters. Attention over
the sequence is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

PEAK_FLOPS = {
    "B200": 2250e12,
    "H200 NVL": 835e12,
    "H200": 989e12,
    "H100 NVL": 835e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "RTX 4090": 165e12,
}
"""dense bfloat16 FLOPs per second from the vendor's data sheets; a name that contains another precedes it"""


def peak_flops(card: str) -> float | None:
    """The peak of a card by its name in CUDA; None if it is not in the table."""
    return next((flops for name, flops in PEAK_FLOPS.items() if name in card), None)


def flops_per_token(parameters: int, trainable: int) -> float:
    """FLOPs of one training token, without recomputation and attention."""
    return 4.0 * parameters + 2.0 * trainable


@dataclass(frozen=True)
class Speedometer:
    """Computes the speed columns of a metrics row from tokens and seconds of all ranks; None if unknown.

    peak_flops: of all ranks together; None on a CPU, for an unknown card and in float32.
    """

    flops_per_token: float
    peak_flops: float | None

    def row(self, tokens: int, seconds: float) -> dict[str, float | None]:
        """`tokens_per_second` and `mfu`."""
        if seconds <= 0:
            return {"tokens_per_second": None, "mfu": None}
        per_second = tokens / seconds
        mfu = None if self.peak_flops is None else round(per_second * self.flops_per_token / self.peak_flops, 4)
        return {"tokens_per_second": round(per_second, 1), "mfu": mfu}


def speedometer(model: torch.nn.Module, dtype: str, ranks: int) -> Speedometer:
    """For `model`, on cards like this process's."""
    # under ZeRO-3 a parameter is empty here but has its full number of elements as an attribute
    counts = [(int(getattr(p, "ds_numel", p.numel())), p.requires_grad) for p in model.parameters()]
    parameters, trainable = sum(n for n, _ in counts), sum(n for n, trains in counts if trains)
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    peak = peak_flops(card) if dtype == "bfloat16" else None
    return Speedometer(flops_per_token(parameters, trainable), None if peak is None else peak * ranks)


def peak_memory() -> dict[str, int | None]:
    """Peak GPU memory allocated and reserved on this rank since the last call; None on a CPU."""
    if not torch.cuda.is_available():
        return {"memory_allocated_bytes": None, "memory_reserved_bytes": None}
    peaks: dict[str, int | None] = {
        "memory_allocated_bytes": torch.cuda.max_memory_allocated(),
        "memory_reserved_bytes": torch.cuda.max_memory_reserved(),
    }
    torch.cuda.reset_peak_memory_stats()
    return peaks
