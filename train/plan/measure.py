"""`measure=true`: runs a few steps and a small sweep of the recipe on this machine, to predict a whole run.

The run is launched as a user would: with the recipe's model, batches, traces and DeepSpeed stage. Only the number of
steps, the number of problems and their budgets are reduced; only the prepared traces are saved.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from recipes.errors import UserError
from recipes.loader import load_recipe
from recipes.paths import ROOT
from recipes.sweep import SweepSection
from runtime.files import read_rows
from runtime.ranks import environment_without_ranks
from train.plan.work import read_specs

STEPS, WARM_UP = 3, 1
"""measured steps, and warm-up steps before them: the first one builds and compiles"""
PROBLEMS, BUDGET_TOKENS = 64, 256


@dataclass(frozen=True)
class Measured:
    """Of all ranks together: training tokens per second, and tokens per second of a small sweep. seconds: the whole
    run, including start and reference sweeps; reserved_bytes: on a GPU, the most that torch reserved in a step."""

    tokens_per_second: float
    sweep_tokens_per_second: float
    seconds: float
    reserved_bytes: int | None
    place: str


def measure(arguments: Sequence[str], ranks: int) -> Measured:
    """Runs the recipe of `arguments` for a few steps on `ranks` GPUs of this machine, or on its CPUs if it has none.

    UserError if the machine has fewer GPUs, or if the run fails.
    """
    gpus = torch.cuda.device_count()
    if 0 < gpus < ranks:
        raise UserError(f"measure=true: {ranks} ranks, but {gpus} GPU(s) on this machine; measure with gpus={gpus}")
    recipe = load_recipe(arguments).recipe
    specs = read_specs(recipe)
    if isinstance(specs, UserError):
        raise specs
    problems = [len(suite.problems) for suite in specs.sweeps.suites]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        keys = [*short_run(recipe.sweep, problems), f"run.dir={folder}", f"run.cache_dir={Path(name) / 'cache'}"]
        started = time.monotonic()
        _launch([*without(arguments, keys), *keys], ranks, Path(name))
        seconds = time.monotonic() - started
        rows = list(read_rows(folder / "metrics.jsonl"))
        sweeps = list(read_rows(folder / "sweeps.jsonl"))
    place = torch.cuda.get_device_name() if gpus else "the CPUs of this machine"
    return Measured(training_speed(rows), sweep_speed(sweeps), seconds, _most_reserved(rows), place)


def short_run(sweep: SweepSection, problems: Sequence[int]) -> list[str]:
    """The keys that shorten a recipe's run; `problems`: the number of problems of each suite."""
    last = WARM_UP + STEPS
    values = {
        "trainer.max_steps": last,
        "trainer.logging_steps": 1,
        "trainer.save_strategy": "no",
        "export.enabled": False,
        "export.checkpoint": "last",
        "wandb.mode": "disabled",
        "keep_best": None,
        "early_stop": None,
        "sweep.every_steps": last,
        "sweep.max_share": None,
        "sweep.confirm": None,
        "sweep.background": False,
        "sweep.budgets": small_budgets(sweep),
        **{f"sweep.suites.{place}.size": min(size, PROBLEMS) for place, size in enumerate(problems)},
    }
    return [f"{key}={json.dumps(value).strip(chr(34))}" for key, value in values.items()]


def small_budgets(sweep: SweepSection) -> list[int]:
    """The budgets up to 256 tokens; 256 alone if all budgets above 0 are larger."""
    small = [budget for budget in sweep.budgets if budget <= BUDGET_TOKENS]
    return small if any(small) else [*small, BUDGET_TOKENS]


def without(arguments: Sequence[str], keys: Sequence[str]) -> list[str]:
    """The arguments without those that `keys` set, and without keys above or below those in the recipe's tree."""
    names = {key.partition("=")[0] for key in keys}

    def stays(argument: str) -> bool:
        own = argument.partition("=")[0]
        return not any(own == name or own.startswith(f"{name}.") or name.startswith(f"{own}.") for name in names)

    return [argument for argument in arguments if stays(argument)]


def _launch(arguments: Sequence[str], ranks: int, folder: Path) -> None:
    script = str(ROOT / "launch" / "train.py")
    launcher = ["-m", "deepspeed.launcher.runner", "--num_accelerators", str(ranks), "--master_port", str(_free_port())]
    command = [sys.executable, *(launcher if ranks > 1 else ()), script, *arguments]
    log = folder / "log"
    with log.open("wb") as out:
        done = subprocess.run(
            command, env=environment_without_ranks(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False
        )
    if done.returncode:
        said = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        own = [line for line in said if not line.startswith("[20")] or said  # lines of the launcher begin with a date
        raise UserError(f"measure=true: the run failed with code {done.returncode} ({' '.join(own[-2:])[-400:]})")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def training_speed(rows: Sequence[Mapping[str, Any]]) -> float:
    """Tokens per second of the rows of metrics.jsonl after the warm-up."""
    counted = rows[WARM_UP:]
    return float(sum(row["tokens"] for row in counted) / sum(row["seconds"] for row in counted))


def sweep_speed(rows: Sequence[Mapping[str, Any]]) -> float:
    """Tokens per second of the run's own sweep, from its rows of sweeps.jsonl: each thought once, and all answers."""
    own = [row for row in rows if row["model"] == "run" and row["budget"] is not None]
    tokens = 0.0
    for suite in {row["suite"] for row in own}:
        budgets = [row for row in own if row["suite"] == suite]
        spent = max(row["tokens_spent"] or 0 for row in budgets) + sum(row["answer_tokens"] or 0 for row in budgets)
        tokens += spent * budgets[0]["problems"] * budgets[0]["samples"]
    return tokens / max(row["seconds"] for row in own)


def _most_reserved(rows: Sequence[Mapping[str, Any]]) -> int | None:
    return max((row["memory_reserved_bytes"] for row in rows if row["memory_reserved_bytes"]), default=None)
