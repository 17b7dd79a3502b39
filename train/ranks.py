"""The processes of a run: how they find each other, and how they agree."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from eval.sweep import ALONE, Ranks
from recipes.errors import UserError
from recipes.schema import ZeroSection

T = TypeVar("T")


def device() -> torch.device:
    """The device of this process: its GPU, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def uses_deepspeed(zero: ZeroSection) -> bool:
    """Stage 0 in one process is plain torch; everything else goes through DeepSpeed."""
    return zero.stage > 0 or int(os.environ.get("WORLD_SIZE", "1")) > 1


def start_ranks(zero: ZeroSection) -> Ranks:
    """Joins the processes that the launcher started (a plain `python` is a launcher of one)."""
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
    deepspeed.init_distributed("nccl" if device().type == "cuda" else "gloo", verbose=False)
    return Ranks(rank=torch.distributed.get_rank(), count=torch.distributed.get_world_size(), gather=_gather)


def _skip_compiled_communication(deepspeed: Any) -> None:
    """DeepSpeed would compile a shared-memory operator for minutes at the first run on a CPU; training never calls it."""
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def _gather(rows: list[Any]) -> list[Any]:
    parts: list[list[Any]] = [[] for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather_object(parts, rows)
    return [row for part in parts for row in part]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def on_first_rank(ranks: Ranks, work: Callable[[], T]) -> T:
    """What `work` gives on rank 0, on every rank; its UserError is raised on every rank too, so that none waits for ever."""
    result: list[tuple[bool, Any]] = []
    if ranks.rank == 0:
        try:
            result = [(True, work())]
        except UserError as mistake:
            result = [(False, str(mistake))]
    ((fine, value),) = ranks.gather(result)
    if not fine:
        raise UserError(value)
    return value  # type: ignore[no-any-return]
