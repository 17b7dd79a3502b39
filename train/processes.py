"""The processes of a run: how they connect, and how they synchronise."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch

from recipes.errors import UserError
from recipes.zero import ZeroSection
from runtime.pulse import PULSE
from runtime.ranks import ALONE, Ranks

FIRST_PAUSE_SECONDS, POLL_SECONDS, HINT_SECONDS, STALL_GRACE_SECONDS = 0.001, 0.2, 60.0, 60.0


def device() -> torch.device:
    """The device of this process: its GPU, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def uses_deepspeed(zero: ZeroSection) -> bool:
    """False for stage 0 in one process, which is plain torch; everything else uses DeepSpeed."""
    return zero.stage > 0 or int(os.environ.get("WORLD_SIZE", "1")) > 1


def start_ranks(zero: ZeroSection, stall_seconds: float) -> Ranks:
    """Connects the processes that the launcher started (plain `python` counts as a launch of one).

    A collective that lasts longer than a stall fails by itself, shortly after the watchdog (`train.watch`).
    """
    if torch.cuda.is_available():
        check_gpus(torch.cuda.device_count(), os.environ)
        # cuDNN builds a plan for every new length, and packed traces have many lengths
        torch.backends.cuda.enable_cudnn_sdp(False)
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
    with _port_named():
        deepspeed.init_distributed(
            # on a GPU, small objects and barriers use the CPU, where they do not wait for queued GPU work
            "cpu:gloo,cuda:nccl" if device().type == "cuda" else "gloo",
            verbose=False,
            timeout=timedelta(seconds=stall_seconds + STALL_GRACE_SECONDS),
        )
    rank, count = torch.distributed.get_rank(), torch.distributed.get_world_size()
    return Ranks(rank, count, _gather, _meeting(rank, count)) if count > 1 else Ranks(rank, count, _gather)


@contextmanager
def _port_named() -> Iterator[None]:
    """UserError if the port at which ranks meet is taken, for example by another run on this machine."""
    try:
        yield
    except torch.distributed.DistNetworkError as fault:
        if "EADDRINUSE" not in str(fault):
            raise
        raise UserError(
            f"port {os.environ['MASTER_PORT']}, at which the ranks meet, is taken, most likely by another run on this "
            "machine; give this one another port: deepspeed --master_port 29501 launch/train.py …"
        ) from None


def check_gpus(gpus: int, environment: Mapping[str, str]) -> None:
    """UserError, on every rank, if this machine has fewer GPUs than ranks."""
    ranks = int(environment.get("LOCAL_WORLD_SIZE", environment.get("LOCAL_SIZE", "1")))
    if ranks > gpus:
        raise UserError(
            f"{ranks} ranks on this machine, but only {gpus} GPU(s) that they may use; each rank needs its own: start "
            f"at most {gpus} (deepspeed --num_gpus {gpus}), or let CUDA_VISIBLE_DEVICES name more"
        )


def _skip_compiled_communication(deepspeed: Any) -> None:
    """DeepSpeed would compile a shared-memory operator for minutes in a first run on a CPU; training never uses it."""
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def _gather(rows: list[Any]) -> list[Any]:
    """The rows of all ranks, in rank order.

    A single rank skips the collective: gloo would copy large objects in its own threads, each with OpenMP threads that
    persist, and with more of those than cores every later step is 20 % slower.
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


class Meeting:
    """Lets ranks wait for each other without a time limit: one key per rank in a store on rank 0.

    A collective would end the run soon after `run.stall_seconds`. If another rank dies meanwhile, the watchdog
    (`train.watch`) or the launcher ends this one.
    """

    def __init__(self, store: torch.distributed.Store, rank: int, count: int) -> None:
        self.store, self.rank, self.count = store, rank, count
        self.number = 0

    def __call__(self) -> None:
        self.number += 1
        self.store.set(self._key(self.rank), "here")
        began, pause, hinted = time.monotonic(), FIRST_PAUSE_SECONDS, False
        with PULSE.waiting():
            while missing := self._missing():
                time.sleep(pause)
                pause = min(2 * pause, POLL_SECONDS)  # reacts fast to short work, and polls rarely during long work
                if not hinted and time.monotonic() - began > HINT_SECONDS:
                    hinted = True
                    self._say(missing)
        # every rank here has left the previous meeting, so its keys are no longer read
        self.store.delete_key(self._key(self.rank, self.number - 1))

    def _key(self, rank: int, number: int | None = None) -> str:
        return f"chainmend/meeting/{self.number if number is None else number}/{rank}"

    def _missing(self) -> list[int]:
        """The ranks that have not arrived; a single query if all have."""
        keys = {rank: self._key(rank) for rank in range(self.count)}
        if self.store.check(list(keys.values())):
            return []
        return [rank for rank, key in keys.items() if not self.store.check([key])]

    def _say(self, missing: list[int]) -> None:
        """Prints one line, on the first rank that waits."""
        if self.rank == min(set(range(self.count)) - set(missing), default=self.rank):
            names = ", ".join(map(str, missing))
            print(f"rank {self.rank} has waited {HINT_SECONDS:g} s for rank {names}", file=sys.stderr, flush=True)


def _meeting(rank: int, count: int) -> Meeting:
    """The meeting of all ranks. Rank 0 hosts the store on a port chosen by the system, and tells the others."""
    host, patience = os.environ["MASTER_ADDR"], timedelta(seconds=HINT_SECONDS)

    def store(port: int) -> torch.distributed.TCPStore:
        return torch.distributed.TCPStore(host, port, count, rank == 0, patience, wait_for_workers=False)

    if rank == 0:
        kept = store(0)
        _gather([kept.port])
    else:
        (port,) = _gather([])
        kept = store(port)
    return Meeting(kept, rank, count)
