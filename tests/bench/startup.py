"""Start-up: `python -m tests.bench.startup`. Seconds from the command to the end of the first step.

`deepspeed launch/train.py` against `deepspeed tests/bench/bare_trl.py`, in turns, on the embedded model and its traces,
one rank, ZeRO-2, the same batch:
  warm        pruned model given, set prepared, references swept by an earlier run: what is asked is measured on this
  fresh data  the set is read, tokenised and written anew; references are there
  all fresh   the unpruned model is pruned and both references are swept too: their seconds are part of the run, and no
              rival has them
The first step has ended when it is in metrics.jsonl, or in the file of the bare script.
"""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.launches import finish, start
from tests.bench.training import setting
from tests.bench.worlds import World, embedded

ROUNDS = 3
POLL_SECONDS = 0.01


def until(file: Path, script: str, *arguments: str) -> float:
    """Seconds from the launch until `file` is there with something in it; the launch goes on to its end."""
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = start(output, script, *arguments)
        while process.poll() is None and not (file.is_file() and file.stat().st_size):
            time.sleep(POLL_SECONDS)
        seconds = time.perf_counter() - started
        if process.returncode is not None:
            raise SystemExit(f"{script} ended with {process.returncode} before its first step")
        finish(process, output, script)
    return seconds


def theirs(world: World, folder: Path) -> float:
    job, out = folder / "job.json", folder / f"theirs-{time.time_ns()}.json"
    job.write_text(
        json.dumps(
            {
                "model": str(world.model),
                "traces": str(world.traces),
                "method": "full",
                "steps": 2,
                "out": str(out),
                "settings": [setting("bare", world.batch, 1)],
            }
        )
    )
    return until(out, "tests/bench/bare_trl.py", str(job))


def ours(world: World, folder: Path, *more: str) -> float:
    run = folder / f"ours-{time.time_ns()}"
    return until(
        run / "metrics.jsonl",
        "launch/train.py",
        f"recipe={world.recipe}",
        f"run.dir={run}",
        f"run.cache_dir={folder / 'cache'}",
        f"data.cache_dir={folder / 'data'}",
        "trainer.max_steps=2",
        "trainer.logging_steps=1",
        "trainer.save_strategy=no",
        "sweep.every_steps=2",
        "export.enabled=false",
        "wandb.mode=disabled",
        *more,
    )


def without_data(world: World, folder: Path) -> float:
    shutil.rmtree(folder / "data")
    return ours(world, folder)


def without_anything(world: World, folder: Path) -> float:
    shutil.rmtree(folder / "data")
    shutil.rmtree(folder / "cache")
    return ours(world, folder, "prune.method=tail", "prune.layers=2", "model.pruned=null")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world = embedded(folder)
        ways: dict[str, Callable[[World, Path], float]] = {
            "bare TRL": theirs,
            "chainmend, warm": ours,
            "chainmend, fresh data": without_data,
            "chainmend, all fresh": without_anything,
        }
        for way in (theirs, ours):
            way(world, folder)  # caches of files and of data sets, on both sides
        found: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for way, measured in ways.items():
                found[way].append(measured(world, folder))
        medians = {way: statistics.median(seconds) for way, seconds in found.items()}
        print("seconds from the command to the end of the first step, embedded model, ZeRO-2, 1 rank")
        for way, seconds in found.items():
            ratio = medians[way] / medians["bare TRL"]
            print(f"  {way:22} {', '.join(f'{each:.1f}' for each in seconds)}   {ratio:.2f}")
        print(
            f"  chainmend, warm / bare TRL  {medians['chainmend, warm'] / medians['bare TRL']:.2f}   (at most 1.3)",
            flush=True,
        )


if __name__ == "__main__":
    main()
