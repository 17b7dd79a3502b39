"""Small real runs for the tests of training: in this process, as a plain script, or through the DeepSpeed launcher."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel

from recipes.loader import load_recipe
from recipes.paths import ROOT
from recipes.schema import Recipe
from runtime.ranks import ALONE, Ranks, environment_without_ranks
from runtime.run_folder import RunFolder
from train import stages
from train.arguments import make_arguments
from train.exits import leaving
from train.inputs import read_inputs
from train.main import run_recipe
from train.opening import find_resume, open_run
from train.run import Run
from train.tracking import NoTracker
from train.trainer import RecoveryTrainer

SCRIPT = str(ROOT / "launch" / "train.py")
MODEL = ROOT / "data_prep" / "nano_model"
SMALL = (
    "trainer.max_steps=8",
    "trainer.save_steps=4",
    "trainer.logging_steps=2",
    "trainer.per_device_train_batch_size=8",
    "sweep.every_steps=4",
    "sweep.suites.0.size=8",
    "sweep.suites.1.size=8",
    "sweep.suites.2.size=13",
    "sweep.confirm=null",
    "data.traces.size=200",
    "wandb.mode=disabled",
    "run.report=none",
)


def small(recipe: str, folder: Path, cache: Path, *overrides: str) -> list[str]:
    """Arguments of a small run in `folder`; later overrides take the place of earlier ones."""
    places = (f"run.dir={folder}", f"run.cache_dir={cache}", f"data.cache_dir={cache / 'data'}")
    values = dict(argument.split("=", 1) for argument in (*places, *SMALL, *overrides))
    if values.get("data.traces.source") == "jsonl":
        del values["data.traces.size"]
    return [f"recipe={recipe}_recovery.yaml", *(f"{key}={value}" for key, value in values.items())]


def run_here(arguments: Sequence[str]) -> int:
    """The run in this process, on one thread; its exit code."""
    torch.set_num_threads(1)
    loaded = load_recipe(arguments)
    return leaving(lambda: run_recipe(loaded))


def run_in(folder: Path, ranks: Ranks = ALONE) -> Run:
    """The run of a folder, as its hooks know it, without a tracker."""
    return Run(RunFolder(folder), ranks, NoTracker())


def opened(arguments: Sequence[str], ranks: Ranks = ALONE) -> Path | None:
    """Opens the run folder as a start of the run does; the checkpoint from which it resumes."""
    loaded = load_recipe(arguments)
    assert loaded.recipe.run.dir is not None
    folder = RunFolder(loaded.recipe.run.dir)
    resume = find_resume(folder, loaded.recipe.run)
    open_run(folder, resume, loaded, ranks)
    return resume.checkpoint


def trainer_of(recipe: Recipe, folder: Path, model: PreTrainedModel) -> RecoveryTrainer:
    """The trainer of a recipe, put together by the stages of a run."""
    inputs = read_inputs(recipe, ALONE)
    loss = stages.make_loss(recipe, str(recipe.model.pruned or recipe.model.unpruned), inputs, ALONE)
    return stages.make_trainer(model, make_arguments(recipe, folder), inputs, recipe, loss, run_in(folder))


def environment(**more: str) -> dict[str, str]:
    """The environment of a child process: one thread, the programs of this interpreter, no W&B key."""
    # a run of this process, too, may have left what a launcher says of ranks
    known = {key: value for key, value in environment_without_ranks().items() if not key.startswith("WANDB_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{known['PATH']}"
    # gloo would ask the network for the address of this machine's name, and warn where there is none
    return {"GLOO_SOCKET_IFNAME": "lo", **known, "PATH": path, "OMP_NUM_THREADS": "1", **more}


def plain(arguments: Sequence[str], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """`python launch/train.py ...` in `folder`."""
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def need_devices(ranks: int) -> None:
    """Skips a test of `ranks` ranks where they have too few GPUs; where there is none, ranks share the CPUs."""
    gpus = torch.cuda.device_count()
    if 0 < gpus < ranks:
        pytest.skip(f"needs {ranks} GPUs, one for each rank; this machine has {gpus}")


def launch(arguments: Sequence[str], folder: Path, ranks: int) -> subprocess.CompletedProcess[str]:
    """`deepspeed --num_accelerators N launch/train.py ...` in `folder`."""
    need_devices(ranks)
    command = ["deepspeed", "--num_accelerators", str(ranks), "--master_port", str(free_port()), SCRIPT, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=240, check=False
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ours(text: str) -> list[str]:
    """The lines of an output that do not come from the launcher."""
    return [line for line in text.splitlines() if line.strip() and not line.startswith("[20")]


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def untimed(file: Path) -> list[dict[str, Any]]:
    """The rows without what was measured of the machine."""
    return [{key: value for key, value in row.items() if not re.search("second|memory|mfu", key)} for row in rows(file)]


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    """All tensors of a checkpoint's safetensors file, of the model or of the adapter."""
    (file,) = checkpoint.glob("*.safetensors")
    return load_file(file)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Equal names and equal bits, on whatever devices they are."""
    return one.keys() == other.keys() and all(torch.equal(one[name].cpu(), other[name].cpu()) for name in one)
