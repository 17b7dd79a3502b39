"""This process among the others of a sweep or a run, and how they agree.

Ranks that work are rarely through at the same time: one may have no problem of a sweep and another the longest one. So
whoever is through first does not wait in a collective, which would time out and end a healthy run, but in `Ranks.meet`,
however long it takes; the collective that follows finds everyone there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from recipes.errors import UserError
from runtime.pulse import ToLeave

T = TypeVar("T")
Gather = Callable[[list[Any]], list[Any]]


def _nobody_else() -> None:
    """One rank alone waits for nobody."""


@dataclass(frozen=True)
class Ranks:
    """This process among the others.

    gather: gives every rank the lists of all ranks, joined in rank order; a collective, which times out.
    meet: waits until every rank is there, without a time-out; all ranks must call it.
    """

    rank: int
    count: int
    gather: Gather
    meet: Callable[[], None] = _nobody_else


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


def environment_without_ranks() -> dict[str, str]:
    """This process's environment without what a launcher says of ranks, for a process that is no rank of the run."""
    return {name: value for name, value in os.environ.items() if name not in OF_A_RANK}


def on_first_rank(ranks: Ranks, work: Callable[[], T]) -> T:
    """What `work` gives on rank 0, on every rank, however long it takes.

    Its UserError is raised on every rank, and so is its ToLeave. After any other exception, which passes through on
    rank 0, the other ranks end with one line and exit code 1. So none waits for ever.
    """
    mine = [_outcome(work)] if ranks.rank == 0 else []
    ((_, value),) = _agreed(ranks, mine)
    result: T = value
    return result


def on_every_rank(ranks: Ranks, work: Callable[[], T]) -> T:
    """What `work` gives on this rank; what goes wrong on any rank ends it on all, as in `on_first_rank`."""
    kind, value = _outcome(work)
    _agreed(ranks, [(kind, None if kind == "done" else value)])  # what was done need not be fit for sending
    result: T = value
    return result


def from_every_rank(ranks: Ranks, work: Callable[[], T]) -> list[T]:
    """What `work` gives on every rank, in their order, on every rank; faults as in `on_first_rank`."""
    return [value for _, value in _agreed(ranks, [_outcome(work)])]


Outcome = tuple[Literal["done", "mistake", "left", "fault"], Any]


def _outcome(work: Callable[[], Any]) -> Outcome:
    """What came of `work`: its value, the text of its UserError, that it was left, or its exception."""
    try:
        return "done", work()
    except UserError as mistake:
        return "mistake", str(mistake)
    except ToLeave:
        return "left", None
    except Exception as fault:
        return "fault", fault


def _agreed(ranks: Ranks, mine: list[Outcome]) -> list[Outcome]:
    """The outcomes of all ranks, where every one is "done"; else what is wrong is raised on every rank."""
    ranks.meet()
    sent = [(kind, _first_line(value) if kind == "fault" else value, ranks.rank) for kind, value in mine]
    outcomes = ranks.gather(sent)
    for kind, value in mine:
        if kind == "fault":
            raise value
    for kind, value, rank in outcomes:
        if kind == "fault":
            raise SystemExit(f"rank {ranks.rank} ends because rank {rank} failed: {value}")
    for kind, value, _ in outcomes:
        if kind == "mistake":
            raise UserError(value)
    if any(kind == "left" for kind, _, _ in outcomes):
        raise ToLeave
    return [(kind, value) for kind, value, _ in outcomes]


def _first_line(fault: Exception) -> str:
    return f"{type(fault).__name__}: {fault}".splitlines()[0]
