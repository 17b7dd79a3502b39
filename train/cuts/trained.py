"""How far a cut recovers in a short training: the recipe's own run on the pruned model, with few steps."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from eval.numbers.summary import Row, newest, totals
from recipes.errors import UserError
from recipes.loader import to_yaml
from recipes.paths import ROOT
from recipes.schema import Recipe
from runtime.files import read_rows, write_whole
from runtime.progress import progress
from runtime.ranks import environment_without_ranks
from runtime.run_folder import RunFolder

SCRIPT = ROOT / "launch" / "train.py"
LOOK_SECONDS = 2.0


@dataclass(frozen=True)
class Trained:
    """The rows of the sweep after the last step, and the cost: tokens trained on, seconds of steps and sweeps."""

    steps: int
    rows: tuple[Row, ...]
    tokens: float
    seconds: float


def short_recipe(recipe: Recipe, pruned: Path, steps: int, folder: Path) -> Recipe:
    """The recipe on an existing pruned model, with one sweep at its last step; only its numbers are kept.

    The learning-rate schedule spans exactly these steps.
    """
    sweep = recipe.sweep.changed(every_steps=steps, confirm=None, background=False, max_share=None)
    return recipe.changed(
        model=recipe.model.changed(pruned=str(pruned)),
        prune=None,
        run=recipe.run.changed(dir=folder, resume="never", cache_dir=folder.parent / "cache"),
        trainer={**recipe.trainer, "max_steps": steps, "save_strategy": "no", "logging_steps": 1},
        sweep=sweep,
        keep_best=None,
        early_stop=None,
        export=recipe.export.changed(enabled=False, checkpoint="last"),
        wandb=recipe.wandb.changed(mode="disabled"),
    )


def train_shortly(recipe: Recipe, pruned: Path, steps: int, folder: Path) -> Trained:
    """Trains in a separate process, on one GPU or on the CPUs; a finished training is only read.

    UserError, with the end of its log, if it fails.
    """
    done = read(folder, steps, recipe.sweep.deciding_suite.name)
    if done is not None:
        return done
    shutil.rmtree(folder, ignore_errors=True)  # left by an interrupted training
    file = folder.with_name(f"{folder.name}.yaml")
    write_whole(file, to_yaml(short_recipe(recipe, pruned, steps, folder)))
    log = folder.with_name(f"{folder.name}.log")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), f"recipe={file}"],
            env=environment_without_ranks(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
        _wait(process, folder, steps)
    done = read(folder, steps, recipe.sweep.deciding_suite.name)
    if process.returncode or done is None:
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise UserError(f"train_steps={steps}: the training of {pruned} failed; {log}: {' '.join(said[-2:])[-400:]}")
    return done


def _wait(process: subprocess.Popen[bytes], folder: Path, steps: int) -> None:
    """Waits for the training in `folder` and shows its steps; if the wait is interrupted, the training is ended."""
    try:
        with progress(f"training in {folder.name}", steps, "steps") as work:
            while process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_SECONDS)
                logged = read_rows(RunFolder(folder).metrics)
                work.advance((logged[-1]["step"] if logged else 0) - work.done)
    finally:
        process.kill()
        process.wait()


def read(folder: Path, steps: int, suite: str) -> Trained | None:
    """The training in a run folder; None if it has no sweep at step `steps`."""
    rows = tuple(read_rows(RunFolder(folder).sweeps))
    summary = newest(rows, "run", suite)[1]
    if summary is None or summary["step"] != steps:
        return None
    spent = totals(read_rows(RunFolder(folder).metrics))
    return Trained(steps, rows, spent.get("tokens", 0.0), spent.get("seconds", 0.0) + spent.get("sweep_seconds", 0.0))
