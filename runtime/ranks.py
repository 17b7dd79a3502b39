"""This process among the others of a sweep or a run, and how they agree.

Ranks rarely finish at the same time: one may have no problem of a sweep and another the longest one. A rank that has
finished must not wait in a collective, which would time out and end a healthy run. It waits in `Ranks.meet`, which has
no time-out; in the collective that follows, all ranks are present.
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
    """This process's environment without the launcher's variables for ranks, for a process that is not a rank."""
    return {name: value for name, value in os.environ.items() if name not in OF_A_RANK}


def on_first_rank(ranks: Ranks, work: Callable[[], T]) -> T:
    """Runs `work` on rank 0 and returns its result on every rank, however long it takes.

    Its UserError or ToLeave is raised on every rank. Any other exception passes through on rank 0, and the other ranks
    end with one line and exit code 1, so that none waits for ever.
    """
    mine = [_outcome(work)] if ranks.rank == 0 else []
    ((_, value),) = _agreed(ranks, mine)
    result: T = value
    return result


def on_every_rank(ranks: Ranks, work: Callable[[], T]) -> T:
    """The result of `work` on this rank; an error on any rank ends the work on all, as in `on_first_rank`."""
    kind, value = _outcome(work)
    _agreed(ranks, [(kind, None if kind == "done" else value)])  # a result need not be serialisable
    result: T = value
    return result


def from_every_rank(ranks: Ranks, work: Callable[[], T]) -> list[T]:
    """The results of `work` from all ranks, in rank order, on every rank; errors as in `on_first_rank`."""
    return [value for _, value in _agreed(ranks, [_outcome(work)])]


Outcome = tuple[Literal["done", "mistake", "left", "fault"], Any]


def _outcome(work: Callable[[], Any]) -> Outcome:
    """The outcome of `work`: its value, the text of its UserError, that it was interrupted, or its exception."""
    try:
        return "done", work()
    except UserError as mistake:
        return "mistake", str(mistake)
    except ToLeave:
        return "left", None
    except Exception as fault:
        return "fault", fault


def _agreed(ranks: Ranks, mine: list[Outcome]) -> list[Outcome]:
    """The outcomes of all ranks if every one is "done"; else the error is raised on every rank."""
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
