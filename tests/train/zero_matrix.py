"""Several whole runs in one process a rank, so that the matrix of stages and adapters costs two launches, not sixteen.

`python -m tests.train.zero_matrix CELLS.json`, started as a rank; the file is a list of the arguments of runs.
Each is a run from recipe to export, and `moved.json` in its folder says which parameters changed in training.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState

from recipes.loader import load_recipe
from train import main, stages


def whole(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Copies of all parameters in main memory, gathered where ZeRO-3 has sharded them; all ranks must ask.

    Before training they may lie elsewhere than after it.
    """
    parameters = dict(model.named_parameters())
    with ExitStack() as gathered:
        if any(hasattr(parameter, "ds_id") for parameter in parameters.values()):
            import deepspeed

            gathered.enter_context(deepspeed.zero.GatheredParameters(list(parameters.values())))
        return {name: parameter.detach().cpu().clone() for name, parameter in parameters.items()}


def watched(train: Callable[..., None]) -> Callable[..., None]:
    """`stages.train`, with a record of what moved beside the run's other files."""

    def act(trainer: Any, hooks: Any, checkpoint: Path | None) -> None:
        before = whole(trainer.model)
        trains = {name for name, parameter in trainer.model.named_parameters() if parameter.requires_grad}
        train(trainer, hooks, checkpoint)
        after = whole(trainer.model)
        moved = {name for name in before if not torch.equal(before[name], after[name])}
        if trainer.args.process_index == 0:
            found = {"trainable": len(trains), "still": sorted(trains - moved), "frozen_moved": sorted(moved - trains)}
            (Path(trainer.args.output_dir) / "moved.json").write_text(json.dumps(found))

    return act


def run_cells(cells: list[list[str]]) -> None:
    stages.train = watched(stages.train)  # type: ignore[assignment]
    for cell in cells:
        assert main.run_recipe(load_recipe(cell)) == 0
        AcceleratorState._reset_state(reset_partial_state=True)
        gc.collect()


if __name__ == "__main__":
    torch.set_num_threads(1)
    run_cells(json.loads(Path(sys.argv[-1]).read_text()))
