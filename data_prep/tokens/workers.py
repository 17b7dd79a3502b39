"""Distributes batches of traces to threads that tokenise them, and returns the results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from data_prep.tokens.batches import Batch, BatchWork
from data_prep.trace import Trace


def work_in_order(work: BatchWork, batches: Iterator[list[Trace]], workers: int) -> Iterator[Batch]:
    """The results of `work` on every batch, in order, from `workers` threads besides the one that reads the batches.

    The results do not depend on the number of threads. Only a few batches are in memory at once. Threads suffice: most
    of the time is spent in a fast tokenizer, which lets other threads run while it works.
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
