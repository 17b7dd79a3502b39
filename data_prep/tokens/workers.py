"""Batches of traces to the threads that tokenise them, and back in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from data_prep.tokens.batches import Batch, BatchWork
from data_prep.trace import Trace


def work_in_order(work: BatchWork, batches: Iterator[list[Trace]], workers: int) -> Iterator[Batch]:
    """What `work` makes of every batch, in their order, in `workers` threads beside the one that reads the batches.

    The outcome does not depend on their number. Only a few batches are in memory at once. Threads are enough: a fast
    tokenizer lets the others run while it works, and most of the time goes there.
    """
    under_way: deque[Future[Batch]] = deque()
    pool = ThreadPoolExecutor(workers, "tokenise")
    try:
        for batch in batches:
            under_way.append(pool.submit(work, batch))
            if len(under_way) > 2 * workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
