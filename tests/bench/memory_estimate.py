"""Estimated against measured peak memory on CPUs: `python -m tests.bench.memory_estimate [NAME …]`.

Real runs, launched with DeepSpeed, of three steps without sweeps in between: full rows (packed), so that the batches of
three steps are as large as those of a whole run. A rank's peak resident memory (VmHWM) is read when it ends, and the
larger one of the ranks counts. The base of a process is measured once with and once without DeepSpeed, by a
run of the embedded model in one process, and is in both columns; `beyond` compares what is beyond it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from eval.engines.memory import GIGABYTE
from tests.bench.estimated_runs import Case, Shape, measured_peaks
from train.plan.base_memory import base_bytes
from train.plan.estimate import estimate_run

SMALL, MIDDLE, LARGE = Shape(512, 7, 8192), Shape(512, 12, 16_384), Shape(1024, 14, 8192)
FULL_ROWS = ("data.packing=true", "data.max_length_tokens=128", "trainer.per_device_train_batch_size=4")
CHECKPOINTING = "trainer.gradient_checkpointing=true"
CASES = (
    Case(
        "embedded, full, ZeRO-0",
        None,
        1,
        "full",
        ("zero.stage=0", "data.packing=true", "trainer.per_device_train_batch_size=8"),
    ),
    Case("embedded, LoRA, ZeRO-2, padded", None, 1, "lora", ("zero.stage=2",)),
    Case("20 M, full, ZeRO-0", SMALL, 1, "full", (*FULL_ROWS, "zero.stage=0")),
    Case("20 M, full, ZeRO-1, 2 ranks", SMALL, 2, "full", (*FULL_ROWS, "zero.stage=1")),
    Case("40 M, full, ZeRO-2", MIDDLE, 1, "full", (*FULL_ROWS, "zero.stage=2")),
    Case(
        "40 M, full, ZeRO-0, 2 ranks, accumulation",
        MIDDLE,
        2,
        "full",
        (*FULL_ROWS, "zero.stage=0", "trainer.gradient_accumulation_steps=2"),
    ),
    Case("40 M, full, ZeRO-3, 2 ranks, checkpointing", MIDDLE, 2, "full", (*FULL_ROWS, "zero.stage=3", CHECKPOINTING)),
    Case("160 M, LoRA, ZeRO-2, checkpointing", LARGE, 1, "lora", (*FULL_ROWS, "zero.stage=2", CHECKPOINTING)),
    Case("160 M, LoRA, ZeRO-3, 2 ranks", LARGE, 2, "lora", (*FULL_ROWS, "zero.stage=3")),
    Case("160 M, full, ZeRO-2, 2 ranks", LARGE, 2, "full", (*FULL_ROWS, "zero.stage=2")),
)


def main(words: list[str]) -> None:
    bases = {kind: base_bytes(kind) for kind in (0, 1)}
    print(f"base: {bases[0] >> 20} MiB without DeepSpeed, {bases[1] >> 20} MiB with it")
    print(f"{'':45} {'estimate':>9} {'measured':>9} {'ratio':>6} {'beyond':>7}   MiB; ratio 0.85 to 1.15 is the target")
    with tempfile.TemporaryDirectory() as name:
        cache = Path(name)
        for case in CASES:
            if words and not any(word in case.name for word in words):
                continue
            base = bases[int(case.ranks > 1 or "zero.stage=0" not in case.keys)]
            memory = estimate_run(case.arguments(cache), {"ranks": case.ranks, "base_gb": base / GIGABYTE}).memory
            measured = max(measured_peaks(case, cache / case.name.replace(" ", "-"), cache))
            estimated = memory.peak.total
            print(
                f"{case.name:45} {estimated >> 20:9,} {measured >> 20:9,} {estimated / measured:6.2f} "
                f"{(estimated - base) / max(1, measured - base):7.2f}   at: {memory.peak.name}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
