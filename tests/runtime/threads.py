"""Ranks that are threads: they exchange rows at a barrier that breaks, and meet without one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from runtime.ranks import Ranks

COLLECTIVE_SECONDS = 3.0


def together(act: Callable[[Ranks], Any], count: int = 2) -> list[Any]:
    """What `act` gives or raises on each of `count` ranks.

    A rank that waits in a collective for more than COLLECTIVE_SECONDS breaks it; one that waits in `meet` waits on.
    """
    barrier, meeting = threading.Barrier(count, timeout=COLLECTIVE_SECONDS), threading.Barrier(count)
    lists: list[list[Any]] = [[] for _ in range(count)]
    outcomes: list[Any] = [None] * count

    def work(rank: int) -> None:
        def gather(rows: list[Any]) -> list[Any]:
            lists[rank] = rows
            barrier.wait()
            joined = [row for part in lists for row in part]
            barrier.wait()
            return joined

        def meet() -> None:
            meeting.wait()

        try:
            outcomes[rank] = act(Ranks(rank, count, gather, meet))
        except (Exception, SystemExit) as fault:
            outcomes[rank] = fault

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def failing(fault: Exception) -> Callable[[], Any]:
    """Work that raises `fault`."""

    def work() -> Any:
        raise fault

    return work
