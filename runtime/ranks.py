"""This process among the others of a sweep or a run, and how they agree."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from recipes.errors import UserError
from runtime.pulse import ToLeave

T = TypeVar("T")
Gather = Callable[[list[Any]], list[Any]]


@dataclass(frozen=True)
class Ranks:
    """This process among the others; `gather` gives every rank the lists of all ranks, joined in rank order."""

    rank: int
    count: int
    gather: Gather


ALONE = Ranks(rank=0, count=1, gather=lambda rows: rows)
OF_A_RANK = (
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "LOCAL_SIZE",
    "CROSS_RANK",
    "CROSS_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
)


def environment_alone() -> dict[str, str]:
    """This process's environment without what a launcher says of ranks, for a process that is no rank of the run."""
    return {name: value for name, value in os.environ.items() if name not in OF_A_RANK}


def on_first_rank(ranks: Ranks, work: Callable[[], T]) -> T:
    """What `work` gives on rank 0, on every rank.

    Its UserError is raised on every rank, and so is its ToLeave. After any other exception, which passes through on
    rank 0, the other ranks end with one line and exit code 1. So none waits for ever.
    """
    outcome: list[tuple[str, Any]] = []
    if ranks.rank == 0:
        try:
            outcome = [("done", work())]
        except UserError as mistake:
            outcome = [("mistake", str(mistake))]
        except ToLeave:
            outcome = [("left", None)]
        except Exception as fault:
            ranks.gather([("fault", f"{type(fault).__name__}: {fault}".splitlines()[0])])
            raise
    ((kind, value),) = ranks.gather(outcome)
    if kind == "mistake":
        raise UserError(value)
    if kind == "left":
        raise ToLeave
    if kind == "fault":
        raise SystemExit(f"rank {ranks.rank} ends because rank 0 failed: {value}")
    result: T = value
    return result


def on_every_rank(ranks: Ranks, work: Callable[[], T]) -> T:
    """What `work` gives on this rank; the UserError of any rank is raised on all, so that rank 0 can say it, and so is
    its ToLeave."""
    outcomes: list[str | None] = []
    try:
        value = work()
    except UserError as mistake:
        outcomes = [str(mistake)]
    except ToLeave:
        outcomes = [None]
    found = ranks.gather(outcomes)
    mistakes = [each for each in found if each is not None]
    if mistakes:
        raise UserError(mistakes[0])
    if found:
        raise ToLeave
    return value
