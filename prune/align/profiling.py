"""Times matrix products of a checkpoint's sizes on the current device, aligned and not: `python -m prune.align DIR
profile=true`.

Each linear layer x W^T is timed with W [rows, columns] as stored, with both sides rounded up to a multiple of 64, and
with both sides one less than that (odd). x is [tokens, columns], with few tokens (decode) and with many (prefill).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.utils.benchmark import Timer

from prune.align.matrices import Matrices
from runtime.files import write_whole

DECODE, PREFILL = (1, 32), (1024, 4096)
TILE = 64
SECONDS = 0.2
"""how long each product is repeated"""

NOT_MULTIPLIED = ("embedding",)
"""its rows are looked up, not multiplied"""
CPU_NOTE = (
    "measured on a CPU; CPU times say nothing about a GPU. Follow the rule instead: multiples of 8 at least, better 64 "
    "or 128"
)


@dataclass(frozen=True)
class Product:
    kind: str
    sizes: str
    """stored, aligned or odd"""
    phase: str
    """decode or prefill"""
    tokens: int
    rows: int
    columns: int
    median_microseconds: float
    spread_microseconds: float
    """interquartile range"""


@dataclass(frozen=True)
class Profile:
    device: str
    torch: str
    dtype: str
    products: tuple[Product, ...]

    @property
    def is_of_a_gpu(self) -> bool:
        return self.device != "cpu"


def profile(matrices: Matrices, seconds: float = SECONDS) -> Profile:
    """Medians over as many repeats as fit into `seconds` for each product.

    Repeats use the same operands, so a small matrix may stay in a GPU's cache. Decode then looks faster than it is, for
    all three sizes alike.
    """
    gpu = torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    dtype = torch.bfloat16 if gpu else torch.float32
    products = []
    for kind, rows, columns in _distinct(matrices):
        # only the last token of a prompt goes through the head
        for tokens in DECODE if kind == "head" else (*DECODE, *PREFILL):
            for sizes, (tall, wide) in variants(rows, columns).items():
                median, spread = _time(tokens, torch.empty(tall, wide, device=device, dtype=dtype).normal_(), seconds)
                phase = "decode" if tokens in DECODE else "prefill"
                products.append(Product(kind, sizes, phase, tokens, tall, wide, median * 1e6, spread * 1e6))
    name = torch.cuda.get_device_name() if gpu else "cpu"
    return Profile(name, torch.__version__, str(dtype).removeprefix("torch."), tuple(products))


def variants(rows: int, columns: int) -> dict[str, tuple[int, int]]:
    """The sizes to compare: [rows, columns] as stored, rounded up to multiples of 64, and one less than these."""
    tall, wide = (-(-size // TILE) * TILE for size in (rows, columns))
    return {"stored": (rows, columns), "aligned": (tall, wide), "odd": (tall - 1, wide - 1)}


def describe_profile(measured: Profile) -> str:
    """One table for decode and one for prefill: medians in microseconds, and the slowdown of odd sizes."""
    lines = [f"device     {measured.device}, {measured.dtype}, torch {measured.torch}"]
    lines += [] if measured.is_of_a_gpu else [f"note       {CPU_NOTE}"]
    for phase in ("decode", "prefill"):
        lines.append(f"{phase:22s} {'tokens':>8s} {'stored':>12s} {'aligned':>12s} {'odd':>12s}  odd to aligned")
        rows = [product for product in measured.products if product.phase == phase]
        for stored, aligned, odd in zip(rows[0::3], rows[1::3], rows[2::3], strict=True) if rows else ():
            times = (stored.median_microseconds, aligned.median_microseconds, odd.median_microseconds)
            cells = "".join(f"{time:10.1f} µs" for time in times)
            lines.append(f"{stored.kind:22s} {stored.tokens:8,d}{cells}  {times[2] / times[1]:.2f}")
    return "\n".join(lines)


def write_profile(measured: Profile, file: Path) -> None:
    """The measured times as JSON, with device, dtype and torch's version."""
    write_whole(file, json.dumps(asdict(measured), indent=2) + "\n")


def _distinct(matrices: Matrices) -> Iterator[tuple[str, int, int]]:
    """One kind per size: k and v, or gate and up, are the same product."""
    seen: set[tuple[int, int]] = set()
    for group in matrices.groups:
        if group.kind not in NOT_MULTIPLIED and (group.rows, group.columns) not in seen:
            seen.add((group.rows, group.columns))
            yield group.kind, group.rows, group.columns


def _time(tokens: int, weight: torch.Tensor, seconds: float) -> tuple[float, float]:
    """Median and spread of x W^T in seconds; weight: [rows, columns]."""
    inputs = torch.empty(tokens, weight.shape[1], device=weight.device, dtype=weight.dtype).normal_()
    timer = Timer(
        "linear(inputs, weight)",
        globals={"linear": torch.nn.functional.linear, "inputs": inputs, "weight": weight},
        num_threads=torch.get_num_threads(),
    )
    measured = timer.blocked_autorange(min_run_time=seconds)
    return measured.median, measured.iqr
