"""Planned against measured memory on a GPU: `python -m tests.bench.gpu_memory SECONDS [quick]` prints rows of JSON.

Three steps and a sweep of 64 thoughts of each recipe (`tests.bench.gpu_worlds`). Compared is the device's peak in
`train.plan` with `torch.cuda.max_memory_reserved` and what the device shows beyond what is reserved.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from tests.bench.gpu_launch import LaunchFailedError, ours
from tests.bench.gpu_rows import Deadline, Row, not_measured, print_rows
from tests.bench.gpu_training import LEAST_SECONDS, plan_row
from tests.bench.gpu_worlds import world_of

STEPS = 3
LORA = ("adapter.method=lora", "adapter.r=64", "adapter.alpha=64")
ON, OFF = "trainer.gradient_checkpointing=true", "trainer.gradient_checkpointing=false"
SWEPT = ("sweep.budgets=[32,64]", "sweep.suites.0.size=64", "sweep.every_steps=3", f"trainer.max_steps={STEPS}")
Recipe = tuple[str, str, tuple[str, ...]]
RECIPES: tuple[Recipe, ...] = (
    ("0.6B full, ZeRO-2, checkpointing, with sweeps", "0.6B", (ON,)),
    ("0.6B LoRA, ZeRO-3, checkpointing, with sweeps", "0.6B", (*LORA, ON, "zero.stage=3")),
    ("0.6B full, ZeRO-3, without checkpointing, with sweeps", "0.6B", (OFF, "zero.stage=3")),
    ("1.7B LoRA, ZeRO-2, without checkpointing, with sweeps", "1.7B", (*LORA, OFF)),
    ("1.7B QLoRA, ZeRO-2, checkpointing, with sweeps", "1.7B", ("adapter.method=qlora", *LORA[1:], ON)),
    ("8B LoRA, ZeRO-2, checkpointing, with sweeps", "8B", (*LORA, ON)),
)
QUICK = RECIPES[:1]


def run(seconds: float, recipes: Sequence[Recipe] = RECIPES, root: Path | None = None) -> Iterator[Row]:
    deadline = Deadline(seconds)
    with tempfile.TemporaryDirectory() as folder:
        for name, shape, keys in recipes:
            yield _compared(name, shape, [*SWEPT, *keys], root or Path(folder), deadline)


def _compared(name: str, shape: str, keys: list[str], root: Path, deadline: Deadline) -> Row:
    if deadline.left < LEAST_SECONDS:
        return not_measured(f"plan of {name}", "no time was left for it")
    if "adapter.method=qlora" in keys and find_spec("bitsandbytes") is None:
        return not_measured(f"plan of {name}", "bitsandbytes is not installed")
    try:
        world = world_of(shape, root)
        return plan_row(name, world, keys, ours(world, keys, deadline.left))
    except (LaunchFailedError, SystemExit) as fault:
        return not_measured(f"plan of {name}", str(fault))


if __name__ == "__main__":
    print_rows(run(float(sys.argv[1]), QUICK if "quick" in sys.argv else RECIPES))
