"""Runs cells in parallel, each with its own log; a finished cell is never run again.

A cell is one process or, on several GPUs, the deepspeed launcher with one rank per GPU.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

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
    """A place for one cell at a time: GPUs by number or id (`0`, `0,1`), or a number of CPU threads."""

    gpu: str | None
    threads: int

    @property
    def has_several(self) -> bool:
        """Whether a cell has several ranks here."""
        return self.gpu is not None and "," in self.gpu


@dataclass(frozen=True)
class Outcome:
    """A cell that ended: its exit code (0: finished) and its last line of output."""

    cell: Cell
    code: int
    said: str = ""


def is_finished(cell: Cell) -> bool:
    """Whether the cell is finished. UserError if its folder has a finished run of another recipe."""
    facts = RunFolder(cell.folder).facts()
    if not facts.get("finished"):
        return False
    before, now = _compared(with_new_defaults(facts["recipe"])), _compared(cell.recipe.model_dump(mode="json"))
    if other := next((key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)), None):
        raise UserError(
            f"{cell.folder}: finished with another recipe ({other}: {shown(before.get(other), 120)} before, "
            f"{shown(now.get(other), 120)} now); restore it, rename the arm, or name another out"
        )
    return True


def _compared(recipe: dict[str, Any]) -> dict[str, Any]:
    """The part of a recipe that identifies a run: without the places of files and the date of templates."""
    data = {key: value for key, value in recipe["data"].items() if key != "cache_dir"}
    data["format"] = {key: value for key, value in data["format"].items() if key != "date"}
    return {key: value for key, value in recipe.items() if key not in MAY_DIFFER} | {"data": data}


def log_of(cell: Cell) -> Path:
    return cell.folder.with_name(f"{cell.folder.name}.log")


def recipe_of(cell: Cell) -> Path:
    return cell.folder.with_name(f"{cell.folder.name}.yaml")


def slots(jobs: int | None, gpus: Sequence[str], cores: int, of_a_cell: int = 1) -> list[Slot]:
    """One slot per cell that runs at a time: by default one per `of_a_cell` GPUs, or without GPUs one per core.

    UserError if there are GPUs but fewer than the jobs need (two runs on one would be slow or out of memory), or fewer
    than one cell needs.
    """
    if of_a_cell > max(1, len(gpus)):
        raise UserError(f"gpus={of_a_cell}: a cell would take {of_a_cell} GPUs, but only {len(gpus)} are visible")
    if gpus:
        groups = [gpus[at : at + of_a_cell] for at in range(0, len(gpus) - of_a_cell + 1, of_a_cell)]
        if jobs is not None and jobs > len(groups):
            takes = "one" if of_a_cell == 1 else str(of_a_cell)
            raise UserError(
                f"jobs={jobs}: there are {len(gpus)} GPUs, and a cell takes {takes}; use at most {len(groups)}"
            )
        return [Slot(",".join(group), 0) for group in groups[:jobs]]
    count = cores if jobs is None else jobs
    return [Slot(None, max(1, cores // count))] * count


def run_cells(cells: Sequence[Cell], places: Sequence[Slot]) -> list[Outcome]:
    """Runs the cells in order, as many at a time as there are places; a failure does not stop the others.

    When this process ends, except by SIGKILL, it tells the running cells to stop; they save, and the same command
    resumes them.
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
        for _, place, process in running:
            _ask_to_stop(process, place)
        for _, _, process in running:
            process.wait()
    return ended


def _start(cell: Cell, place: Slot) -> subprocess.Popen[bytes]:
    write_whole(recipe_of(cell), to_yaml(cell.recipe))
    own = {"CUDA_VISIBLE_DEVICES": place.gpu} if place.gpu is not None else {"OMP_NUM_THREADS": str(place.threads)}
    with log_of(cell).open("ab") as log:
        # in its own session: Ctrl-C reaches only this process, which then signals each cell once
        return subprocess.Popen(
            command_of(cell, place),
            env={**environment_without_ranks(), **own},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def command_of(cell: Cell, place: Slot) -> list[str]:
    """The command of a cell. By default the launcher uses the GPUs in CUDA_VISIBLE_DEVICES."""
    run = [str(SCRIPT), f"recipe={recipe_of(cell)}"]
    if not place.has_several:
        return [sys.executable, *run]
    return [sys.executable, "-m", "deepspeed.launcher.runner", "--master_port", str(_free_port()), *run]


def _free_port() -> int:
    """A free port where the ranks of one cell meet."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


def _ask_to_stop(process: subprocess.Popen[bytes], place: Slot) -> None:
    """Sends SIGTERM to the cell, which saves. With several ranks, signals each of them: the launcher would kill them
    half a minute after its own signal, and a large checkpoint takes longer."""
    if not place.has_several or not _signal_ranks(process.pid):
        process.terminate()


def _signal_ranks(launcher: int) -> int:
    """Number of the launcher's ranks that got SIGTERM; 0 if none exists yet."""
    ranks: dict[int, psutil.Process] = {}
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(launcher).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                # the launcher adds the rank's number to its command line; forked workers of the rank have the same one
                if any(word.startswith("--local_rank=") for word in child.cmdline()) and child.ppid() not in ranks:
                    ranks[child.pid] = child
    for rank in ranks.values():
        with suppress(psutil.NoSuchProcess):
            rank.send_signal(signal.SIGTERM)
    return len(ranks)


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
    """The GPUs that this process may use, as named in CUDA_VISIBLE_DEVICES; [] if there are none."""
    import torch

    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return named[:count] if named else [str(number) for number in range(count)]


def usable_cores() -> int:
    return len(os.sched_getaffinity(0))
