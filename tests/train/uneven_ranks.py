"""Two real ranks of which the first works longer than any collective lasts: `-m tests.train.uneven_ranks WAIT …`.

WAIT is where rank 1, which has nothing to do, waits for rank 0: in a sweep, in one by likelihood, for work of the first
rank (what pruning, preparing and exporting are), for work of every rank (what writing traces and sealing a checkpoint
are), or, to see that the time-out is real, in a bare collective.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from eval.sweep import Notes, engine_on, sweep_suite
from eval.types import Weights
from recipes.zero import ZeroSection
from runtime.ranks import Ranks, from_every_rank, on_first_rank
from tests.eval.test_likelihood import nano_choices
from tests.eval.worlds import nano, nano_spec, nano_suite
from train import processes

TIMEOUT_SECONDS, WORK_SECONDS = 1.5, 2.5
WAITS = ("sweep", "likelihood", "first_rank", "every_rank", "collective")


def work(ranks: Ranks) -> None:
    """More work than a time-out lasts, on rank 0 alone."""
    threading.Event().wait(WORK_SECONDS if ranks.rank == 0 else 0)


def wait(where: str, ranks: Ranks) -> Any:
    """Has rank 1 wait; gives what both ranks have afterwards."""
    if where == "first_rank":
        return on_first_rank(ranks, lambda: work(ranks))
    if where == "every_rank":
        return from_every_rank(ranks, lambda: work(ranks))
    if where == "collective":
        work(ranks)
        return ranks.gather([None])
    suite = nano_choices(1) if where == "likelihood" else nano_suite("shallow", 1)
    spec, weights = nano_spec([suite], [8]), Weights(nano())
    with engine_on(weights, spec) as engine:
        return len(sweep_suite(engine, weights, suite, spec, ranks, Notes({}, lambda thought: work(ranks))))


def main(waits: list[str]) -> None:
    processes.STALL_GRACE_SECONDS = 0.0
    nano()
    ranks = processes.start_ranks(ZeroSection(stage=1), TIMEOUT_SECONDS)
    for where in waits:
        print(f"{where}: rank {ranks.rank} has {wait(where, ranks)}", flush=True)


if __name__ == "__main__":
    main([argument for argument in sys.argv if argument in WAITS])
