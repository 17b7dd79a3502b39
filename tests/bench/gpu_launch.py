"""Launches for the benchmarks on a GPU, through DeepSpeed on one rank: chainmend's own runs and the rival's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.paths import ROOT
from runtime.files import read_rows
from runtime.ranks import environment_without_ranks
from tests.bench.gpu_worlds import World
from tests.train.runs import free_port

WARM_UP = 2
"""steps that do not count: kernels are loaded and compiled in them"""
TAIL = 1500


class LaunchFailedError(Exception):
    """A launch that failed or took too long; says how."""


@dataclass(frozen=True)
class Launched:
    """tokens_per_second: the median of the steps that count. device, reserved, context: bytes at their highest. busy:
    share of a profiled step in which the GPU worked, None where none was profiled."""

    tokens_per_second: float
    device: int
    reserved: int
    context: int
    busy: float | None = None


def call(command: Sequence[str], seconds: float, **more: str) -> str:
    """Runs a command in the project's root to its end; what it printed. LaunchFailedError where it fails or is not
    through after so many seconds: then it and all that it started are ended."""
    environment = {**environment_without_ranks(), "PYTHONPATH": _path(), "PYTHONSAFEPATH": "1", **more}
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
        try:
            process.wait(max(1.0, seconds))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise LaunchFailedError(f"not through after {seconds:.0f} s") from None
        out.seek(0)
        said = out.read().decode(errors="replace")
    if process.returncode:
        raise LaunchFailedError(f"ended with code {process.returncode}: {said[-TAIL:]}")
    return said


def _path() -> str:
    """The project first, then where the packages lie that this Python found by PYTHONPATH."""
    return os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)


def deepspeed(script: str, *arguments: str) -> list[str]:
    launcher = ["-m", "deepspeed.launcher.runner", "--num_accelerators", "1", "--master_port", str(free_port())]
    return [sys.executable, *launcher, script, *arguments]


def ours(world: World, keys: Sequence[str], seconds: float, busy_step: int = 0) -> Launched:
    """A run of chainmend on the recipe of a world with other keys, under watch."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arguments = recipe_arguments(world, [*keys, f"run.dir={folder / 'run'}"])
        watch = {"WATCH_FOLDER": name, "BUSY_STEP": str(busy_step)}
        call(deepspeed("tests/bench/gpu_run.py", *arguments), seconds, **watch)
        steps = [(one["tokens"], one["seconds"]) for one in read_rows(folder / "run" / "metrics.jsonl")]
        counted = [step for place, step in enumerate(steps, start=1) if place != busy_step]
        busy = _read(folder / "busy.json")
        share = busy["busy_seconds"] / busy["seconds"] if busy else None
        return Launched(speed_of(counted), **_read(folder / "memory.json"), busy=share)


def recipe_arguments(world: World, keys: Sequence[str]) -> list[str]:
    """Of a run and of its plan; what is prepared and the references are kept beside the world."""
    places = [f"run.cache_dir={world.folder / 'cache'}", f"data.cache_dir={world.folder / 'data'}"]
    return [f"recipe={world.recipe}", *places, *keys]


def theirs(world: World, job: dict[str, Any], seconds: float) -> Launched:
    """The rival's run; `job` as `tests.bench.gpu_trl` says, without what the world knows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "job.json"
        file.write_text(json.dumps({"rows": str(world.rival_rows), "folder": name, **job}), encoding="utf-8")
        call(deepspeed("tests/bench/gpu_trl.py", str(file)), seconds)
        return Launched(speed_of(_read(folder / "steps.json")), **_read(folder / "memory.json"))


def planned_bytes(world: World, keys: Sequence[str], seconds: float) -> int:
    """What `train.plan` foretells for the device at its peak; another process, which is gone when the run begins."""
    where = ["gpus=1", "json=-"]
    said = call([sys.executable, "-m", "train.plan", *recipe_arguments(world, keys), *where], seconds)
    facts = json.loads(said[said.index("{\n") :].rpartition("}")[0] + "}")
    return int(facts["peak_bytes"])


def speed_of(steps: Sequence[Sequence[float]]) -> float:
    """The median of tokens per second over the steps after the warm-up."""
    rates = sorted(tokens / seconds for tokens, seconds in steps[WARM_UP:])
    middle = len(rates) // 2
    return rates[middle] if len(rates) % 2 else (rates[middle - 1] + rates[middle]) / 2


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="ascii")) if file.is_file() else None
