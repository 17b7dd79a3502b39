"""A run under watch: started in the place of `launch/train.py`, same arguments. Rank 0 writes to $WATCH_FOLDER:
memory.json (`tests.bench.gpu_watch`), and with BUSY_STEP=N busy.json, the profile of that step.
"""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:] = [str(ROOT)] + [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]

from train.environment import prepare  # noqa: E402

prepare(os.environ, len(os.sched_getaffinity(0)))

from tests.bench.gpu_watch import BusyStep, MemoryWatch  # noqa: E402
from train import main, stages  # noqa: E402

FOLDER, STEP = Path(os.environ["WATCH_FOLDER"]), int(os.environ.get("BUSY_STEP", "0"))


def watched(make: Any) -> Any:
    """`stages.make_trainer` with the profile of a step."""

    def act(*arguments: Any, **more: Any) -> Any:
        trainer = make(*arguments, **more)
        trainer.add_callback(BusyStep(STEP, FOLDER / "busy.json"))
        return trainer

    return act


if __name__ == "__main__":
    if os.environ.get("RANK", "0") == "0":
        atexit.register(MemoryWatch(FOLDER / "memory.json").close)
        if STEP:
            stages.make_trainer = watched(stages.make_trainer)
    main.command()
