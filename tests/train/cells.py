"""The cells of the matrix {ZeRO 0, 1, 2, 3} x {LoRA, full}, variants of some of them, and how they are launched.

Every cell trains the same global batches: 4 steps of 8 traces, with weight decay, so that a lost setting shows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recipes.paths import ROOT
from tests.train.runs import small
from tests.train.starts import completed_ranks

GLOBAL_BATCH, STEPS = 8, 4
SHORT = (
    f"trainer.max_steps={STEPS}",
    f"trainer.save_steps={STEPS}",
    "trainer.logging_steps=1",
    "trainer.weight_decay=0.1",
    "sweep.every_steps=1000",
    "sweep.suites.0.size=2",
    "sweep.suites.1.size=2",
    "sweep.suites.2.size=2",
    "trainer.disable_tqdm=true",
)
NO_EXPORT = "export.enabled=false"
DESCENT = (
    "trainer.optim=sgd",
    "trainer.learning_rate=1.0",
    "trainer.max_steps=1",
    "trainer.save_steps=1",
    "trainer.warmup_steps=0",
    "trainer.lr_scheduler_type=constant",
    "trainer.weight_decay=0",
    "trainer.max_grad_norm=0",
    "data.traces.size=12",
    NO_EXPORT,
)
OWN = Path(__file__).parent / "own_deepspeed.json"
SHARDED = Path(__file__).parent / "sharded_deepspeed.json"  # small weights are sharded too, as large ones are


@dataclass(frozen=True)
class Cell:
    """A recipe and what it is given beside."""

    recipe: str
    overrides: tuple[str, ...]


GONE_ON = ("lora2", "full1", "full3")
"""what tests/train/test_elastic.py goes on with, from the middle"""
MATRIX = {
    name: Cell(name[:4], (f"zero.stage={name[4]}", *(("trainer.save_steps=2",) if name in GONE_ON else ())))
    for name in (f"{recipe}{stage}" for stage in range(4) for recipe in ("lora", "full"))
}  # plain torch first: DeepSpeed stays in a process
# 13 traces in global batches of 8: the second step of each epoch is short, on two ranks with 3 fillers
UNEVEN = {
    "uneven2": Cell("full", ("zero.stage=2", "data.traces.size=13", NO_EXPORT)),
}
BOTH = ("zero.offload_optimizer=cpu", "zero.offload_parameters=cpu")
CHECKPOINTED, BFLOAT16 = "trainer.gradient_checkpointing=true", "model.dtype=bfloat16"
# each is to give what the cell of the matrix does that its name begins with
VARIANTS = {
    "full2-offload": Cell("full", ("zero.stage=2", "zero.offload_optimizer=cpu", NO_EXPORT)),
    "full3-offload": Cell("full", ("zero.stage=3", *BOTH, NO_EXPORT)),
    "lora2-checkpointed": Cell("lora", ("zero.stage=2", CHECKPOINTED, NO_EXPORT)),
    "lora3-checkpointed": Cell("lora", ("zero.stage=3", CHECKPOINTED, f"zero.config={SHARDED}", NO_EXPORT)),
    "full3-checkpointed": Cell("full", ("zero.stage=3", CHECKPOINTED, f"zero.config={SHARDED}", NO_EXPORT)),
    "full2-own": Cell("full", ("zero.stage=2", f"zero.config={OWN}", NO_EXPORT)),
    "full2-accumulated": Cell(
        "full",
        ("zero.stage=2", "trainer.per_device_train_batch_size=2", "trainer.gradient_accumulation_steps=2", NO_EXPORT),
    ),
}
ROUGH = {
    "full2-bfloat16": Cell("full", ("zero.stage=2", BFLOAT16)),
    "lora3-bfloat16": Cell("lora", ("zero.stage=3", BFLOAT16)),
}
ADAPTERS = {
    "dora3": Cell("lora", ("zero.stage=3", "adapter.method=dora")),
    "rslora2": Cell("lora", ("zero.stage=2", "adapter.rank_stabilised=true")),
}
# 12 traces on two ranks: 2 micro batches of 3 each; or packed
DESCENTS = {
    "descent2": Cell(
        "full",
        ("zero.stage=2", *DESCENT, "trainer.per_device_train_batch_size=3", "trainer.gradient_accumulation_steps=2"),
    ),
    "descent3": Cell("full", ("zero.stage=3", *DESCENT, "trainer.per_device_train_batch_size=6")),
    "descent2-packed": Cell(
        "full",
        (
            "zero.stage=2",
            *DESCENT,
            "trainer.per_device_train_batch_size=1",
            "trainer.gradient_accumulation_steps=8",
            "data.packing=true",
        ),
    ),
}
CLIP = 0.01
CLIPPED = {
    f"clipped{stage}": Cell(
        "full",
        (
            f"zero.stage={stage}",
            *DESCENT,
            f"trainer.max_grad_norm={CLIP}",
            "trainer.per_device_train_batch_size=3",
            "trainer.gradient_accumulation_steps=2",
        ),
    )
    for stage in (2, 3)
}
TAUGHT_ALONE = {"taught0": Cell("distill", ("zero.stage=0", NO_EXPORT))}
# each is to give what taught0 does on one rank
TAUGHT = {
    "taught2": Cell("distill", ("zero.stage=2", NO_EXPORT)),
    "taught3": Cell("distill", ("zero.stage=3", NO_EXPORT)),
    "taught3-sharded": Cell("distill", ("zero.stage=3", "loss.teacher.zero=true", f"zero.config={SHARDED}", NO_EXPORT)),
}
TAUGHT_DESCENTS = {
    f"taught-{name}": Cell("distill", (*cell.overrides, "loss.tokens=damage")) for name, cell in DESCENTS.items()
}
ON_ONE_RANK = {**MATRIX, **UNEVEN, **TAUGHT_ALONE}
ON_TWO_RANKS = {
    **MATRIX,
    **UNEVEN,
    **VARIANTS,
    **ROUGH,
    **ADAPTERS,
    **DESCENTS,
    **CLIPPED,
    **TAUGHT,
    **TAUGHT_DESCENTS,
}


def launch_cells(cells: Mapping[str, Cell], root: Path, cache: Path, ranks: int, *more: str) -> None:
    """Runs all cells in one process a rank; the folder of each is named after it."""
    micro_batch = f"trainer.per_device_train_batch_size={GLOBAL_BATCH // ranks}"
    arguments = [
        small(cell.recipe, root / name, cache, micro_batch, *SHORT, *cell.overrides, *more)
        for name, cell in cells.items()
    ]
    (root / "cells.json").write_text(json.dumps(arguments))
    done = completed_ranks(["-m", "tests.train.zero_matrix", str(root / "cells.json")], ROOT, ranks)
    (root / "out.txt").write_text(done.stdout)
    (root / "err.txt").write_text(done.stderr)
    assert done.returncode == 0, done.stderr[-3000:]
