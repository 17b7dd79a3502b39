"""The processes of a run: how they find each other, and how they agree."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch

from recipes.errors import UserError
from recipes.zero import ZeroSection
from runtime.pulse import PULSE, ToLeave
from runtime.ranks import ALONE, Ranks, on_first_rank

T = TypeVar("T")
POLL_SECONDS, HINT_SECONDS, STALL_GRACE_SECONDS = 0.2, 60.0, 60.0


def device() -> torch.device:
    """The device of this process: its GPU, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def uses_deepspeed(zero: ZeroSection) -> bool:
    """Stage 0 in one process is plain torch; everything else goes through DeepSpeed."""
    return zero.stage > 0 or int(os.environ.get("WORLD_SIZE", "1")) > 1


def start_ranks(zero: ZeroSection, stall_seconds: float) -> Ranks:
    """Joins the processes that the launcher started (a plain `python` is a launcher of one).

    A collective that lasts longer than a stall fails by itself, a little after the watchdog (`train.watch`).
    """
    if not uses_deepspeed(zero):
        return ALONE
    for name, value in (("RANK", "0"), ("LOCAL_RANK", "0"), ("WORLD_SIZE", "1"), ("MASTER_ADDR", "127.0.0.1")):
        os.environ.setdefault(name, value)
    os.environ.setdefault("MASTER_PORT", str(_free_port()))
    import deepspeed

    if device().type == "cuda":
        torch.cuda.set_device(device())
    else:
        _skip_compiled_communication(deepspeed)
    deepspeed.init_distributed(
        "nccl" if device().type == "cuda" else "gloo",
        verbose=False,
        timeout=timedelta(seconds=stall_seconds + STALL_GRACE_SECONDS),
    )
    return Ranks(rank=torch.distributed.get_rank(), count=torch.distributed.get_world_size(), gather=_gather)


def _skip_compiled_communication(deepspeed: Any) -> None:
    """DeepSpeed would compile a shared-memory operator for minutes at a first run on a CPU; training never calls it."""
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def _gather(rows: list[Any]) -> list[Any]:
    """The rows of all ranks, in rank order.

    One rank alone asks nobody: gloo would copy large objects in threads of its own, each with OpenMP threads that stay,
    and with more of those than cores every later step is a fifth slower.
    """
    if torch.distributed.get_world_size() == 1:
        return rows
    parts: list[list[Any]] = [[] for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather_object(parts, rows)
    return [row for part in parts for row in part]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def on_first_rank_however_long(ranks: Ranks, folder: Path, work: Callable[[], T]) -> T:
    """`on_first_rank` for work that may take hours and gives JSON: meanwhile the others look for a file in `folder`.

    In a collective they would be ended by its time-out. All ranks must see `folder` (on several machines, a shared file
    system). Where rank 0 is killed, the launcher ends the others.
    """
    return _outcomes(ranks, folder, work, 1)[0] if ranks.count > 1 else work()


def on_every_rank_however_long(ranks: Ranks, folder: Path, work: Callable[[], T]) -> list[T]:
    """What `work` gives on every rank, in their order, where one may be through hours before another.

    The first rank's mistake is everyone's, and so is its fault, as in `on_first_rank_however_long`.
    """
    return _outcomes(ranks, folder, work, ranks.count) if ranks.count > 1 else [work()]


def _outcomes(ranks: Ranks, folder: Path, work: Callable[[], T], workers: int) -> list[T]:
    """What `work` gives on the first `workers` ranks, on every rank, through a file of each in `folder`."""
    name = on_first_rank(ranks, lambda: _name_in(folder))
    files = [folder / f"{name}.{rank}" for rank in range(workers)]
    fault = _write_outcome(files[ranks.rank], work) if ranks.rank < workers else None
    outcomes = [_wait_for(file, rank) for rank, file in enumerate(files)]
    ranks.gather([])  # everyone has read them
    if ranks.rank < workers:
        files[ranks.rank].unlink()
    if fault is not None:
        raise fault
    for rank, outcome in enumerate(outcomes):
        if "mistake" in outcome:
            raise UserError(outcome["mistake"])
        if "left" in outcome:
            raise ToLeave
        if "fault" in outcome:
            raise SystemExit(f"rank {ranks.rank} ends because rank {rank} failed: {outcome['fault']}")
    return [outcome["done"] for outcome in outcomes]


def _name_in(folder: Path) -> str:
    """A name that nobody else uses, in a folder that can be written; UserError where it cannot."""
    name = f".outcome.{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
        (folder / name).unlink()
    except OSError as fault:
        raise UserError(f"{folder}: cannot be written ({fault.strerror}); name another folder") from None
    return name


def _write_outcome(file: Path, work: Callable[[], Any]) -> Exception | None:
    """Does the work and writes what came of it, at once or not at all; gives the exception that is no UserError."""
    fault: Exception | None = None
    try:
        outcome: dict[str, Any] = {"done": work()}
    except UserError as mistake:
        outcome = {"mistake": str(mistake)}
    except ToLeave:
        outcome = {"left": True}
    except Exception as problem:
        fault, outcome = problem, {"fault": f"{type(problem).__name__}: {problem}".splitlines()[0]}
    half = file.with_name(file.name + ".half")
    half.write_text(json.dumps(outcome), encoding="utf-8")
    half.rename(file)
    return fault


def _wait_for(file: Path, rank: int) -> dict[str, Any]:
    """What the file says as soon as it is there; after a minute a line says what is waited for."""
    hint_at = time.monotonic() + HINT_SECONDS
    while not file.is_file():
        time.sleep(POLL_SECONDS)
        PULSE.beat_at = time.monotonic()  # it is rank 0's silence that counts here
        if time.monotonic() > hint_at:
            hint_at = float("inf")
            print(
                f"waiting for rank {rank} to write {file}; all ranks must share that file system",
                file=sys.stderr,
                flush=True,
            )
    outcome: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return outcome
