"""Running cells side by side: one process each, its output in a log; what is finished is never run again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.errors import UserError
from recipes.loader import to_yaml
from recipes.paths import ROOT
from recipes.reading import shown
from runtime.files import write_whole
from runtime.progress import progress
from runtime.ranks import environment_without_ranks
from runtime.run_folder import RunFolder
from train.opening import with_new_defaults
from train.study.grid import Cell

SCRIPT = ROOT / "launch" / "train.py"
LOOK_SECONDS = 0.2
MAY_DIFFER = ("run", "wandb", "export", "dry_run")


@dataclass(frozen=True)
class Slot:
    """Where one cell runs at a time: a GPU by its number or id, or so many threads of the CPUs."""

    gpu: str | None
    threads: int


@dataclass(frozen=True)
class Outcome:
    """A cell that ended: its exit code (0: finished), and the last line that it said."""

    cell: Cell
    code: int
    said: str = ""


def is_finished(cell: Cell) -> bool:
    """Whether the cell has run to its end. UserError where its folder holds a finished run of another recipe."""
    facts = RunFolder(cell.folder).facts()
    if not facts.get("finished"):
        return False
    before, now = _compared(with_new_defaults(facts["recipe"])), _compared(cell.recipe.model_dump(mode="json"))
    if other := next((key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)), None):
        raise UserError(
            f"{cell.folder}: finished with another recipe ({other}: {shown(before.get(other), 120)} before, "
            f"{shown(now.get(other), 120)} now); put it back, rename the arm, or name another out"
        )
    return True


def _compared(recipe: dict[str, Any]) -> dict[str, Any]:
    """What makes two recipes the same run: not where files are, nor the day on which templates are written."""
    data = {key: value for key, value in recipe["data"].items() if key != "cache_dir"}
    data["format"] = {key: value for key, value in data["format"].items() if key != "date"}
    return {key: value for key, value in recipe.items() if key not in MAY_DIFFER} | {"data": data}


def log_of(cell: Cell) -> Path:
    return cell.folder.with_name(f"{cell.folder.name}.log")


def recipe_of(cell: Cell) -> Path:
    return cell.folder.with_name(f"{cell.folder.name}.yaml")


def slots(jobs: int | None, gpus: Sequence[str], cores: int) -> list[Slot]:
    """One for each cell that runs at a time: by default one for each GPU, else for each core.

    UserError for more jobs than GPUs, where there are GPUs: two runs on one would be out of memory, or slow.
    """
    if gpus:
        if jobs is not None and jobs > len(gpus):
            raise UserError(f"jobs={jobs}: there are {len(gpus)} GPUs, and a cell takes one; write at most {len(gpus)}")
        return [Slot(gpu, 0) for gpu in gpus[:jobs]]
    count = cores if jobs is None else jobs
    return [Slot(None, max(1, cores // count))] * count


def run_cells(cells: Sequence[Cell], places: Sequence[Slot]) -> list[Outcome]:
    """Runs the cells in their order, as many at a time as there are places; one that fails stops no other.

    Whatever ends this process but SIGKILL asks the running cells to stop; they save, and the same command resumes them.
    """
    waiting, free = deque(cells), list(places)
    running: list[tuple[Cell, Slot, subprocess.Popen[bytes]]] = []
    ended: list[Outcome] = []
    try:
        with progress("study", len(cells), "runs") as work:
            while waiting or running:
                while waiting and free:
                    cell, place = waiting.popleft(), free.pop(0)
                    running.append((cell, place, _start(cell, place)))
                time.sleep(LOOK_SECONDS)
                for entry in [entry for entry in running if entry[2].poll() is not None]:
                    running.remove(entry)
                    free.append(entry[1])
                    ended.append(_ended(entry[0], entry[2].returncode))
                    print(f"{len(ended)} of {len(cells)}: {_line(ended[-1])}", flush=True)
                work.advance(len(ended) - work.done)
    finally:
        for _, _, process in running:
            process.terminate()
        for _, _, process in running:
            process.wait()
    return ended


def _start(cell: Cell, place: Slot) -> subprocess.Popen[bytes]:
    write_whole(recipe_of(cell), to_yaml(cell.recipe))
    own = {"CUDA_VISIBLE_DEVICES": place.gpu} if place.gpu is not None else {"OMP_NUM_THREADS": str(place.threads)}
    with log_of(cell).open("ab") as log:
        # in a session of its own: Ctrl-C reaches this process alone, which then asks each cell once
        return subprocess.Popen(
            [sys.executable, str(SCRIPT), f"recipe={recipe_of(cell)}"],
            env={**environment_without_ranks(), **own},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _ended(cell: Cell, code: int) -> Outcome:
    said = log_of(cell).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if code == 0 and not RunFolder(cell.folder).facts().get("finished"):
        code = 1
    return Outcome(cell, code, said[-1][-300:] if said else "")


def _line(outcome: Outcome) -> str:
    if outcome.code == 0:
        return f"{outcome.cell.name} finished"
    return f"{outcome.cell.name} FAILED with code {outcome.code} ({log_of(outcome.cell)}): {outcome.said}"


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; [] without any."""
    import torch

    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return named[:count] if named else [str(number) for number in range(count)]


def usable_cores() -> int:
    return len(os.sched_getaffinity(0))
