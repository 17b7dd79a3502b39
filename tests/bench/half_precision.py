"""Training in bfloat16 against float32 on the embedded reasoner: verdicts, and how far the losses lie apart.

`python -m tests.bench.half_precision [steps]`; by default as many steps as the shipped recipes take. Full-parameter and
LoRA at ZeRO 1 to 3, one rank, through `deepspeed`. A line for each: the verdict in bfloat16, the largest distance of a
logged loss from that of float32 at the same step, and the distance of the last one. Targets: RETURNED everywhere, and
`MOST` between any two logged losses.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from runtime.files import read_rows
from runtime.run_folder import RunFolder
from tests.bench.launches import launch

STAGES = (1, 2, 3)
MOST = 0.05
"""nats a token: rounding to bfloat16 leaves eight bits, and early losses are above 1"""


def train(recipe: str, folder: Path, keys: list[str]) -> RunFolder:
    """A run of a shipped recipe in `folder`."""
    places = [
        f"run.dir={folder}",
        f"run.cache_dir={folder.parent / 'cache'}",
        f"data.cache_dir={folder.parent / 'data'}",
    ]
    quiet = ["wandb.mode=disabled", "export.enabled=false", "sweep.confirm=null"]
    launch("launch/train.py", f"recipe={recipe}_recovery.yaml", *places, *quiet, *keys)
    return RunFolder(folder)


def losses(run: RunFolder) -> dict[int, float]:
    """The logged loss by step."""
    return {row["step"]: row["loss"] for row in read_rows(run.metrics) if row.get("loss") is not None}


def apart(one: dict[int, float], other: dict[int, float]) -> tuple[float, float]:
    """The largest distance of two runs' losses at the same step, and that at the last step."""
    steps = sorted(one.keys() & other.keys())
    distances = [abs(one[step] - other[step]) for step in steps]
    return max(distances), distances[-1]


def main(steps: int | None) -> None:
    """Prints one line per method and stage."""
    keys = [] if steps is None else [f"trainer.max_steps={steps}"]
    print(f"losses apart from float32's, in nats a token (target: at most {MOST}); the verdict in bfloat16")
    for recipe in ("full", "lora"):
        for stage in STAGES:
            with tempfile.TemporaryDirectory() as name:
                exact, half = (
                    train(recipe, Path(name) / dtype, [*keys, f"zero.stage={stage}", f"model.dtype={dtype}"])
                    for dtype in ("float32", "bfloat16")
                )
                largest, last = apart(losses(exact), losses(half))
                word = half.facts()["verdict"]
            print(f"{recipe:4}  ZeRO {stage}  {word:12}  largest {largest:.4f}  last {last:.4f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else None)
