"""Batches of traces to the processes that tokenise them, and back in their order."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context, set_forkserver_preload
from typing import Literal

from transformers import PreTrainedTokenizerBase

from data_prep.batches import Batch, BatchWork
from data_prep.prompts import ThinkFormat
from data_prep.tokenize import Labeller
from data_prep.traces import Trace

SMALL_SET_CHARACTERS = 30_000_000
"""so much text is tokenised here sooner than other processes would be up"""


def work_in_order(work: BatchWork, batches: Iterator[list[Trace]], workers: int) -> Iterator[Batch]:
    """What `work` makes of every batch, in their order, in this process or in `workers` of its children.

    The outcome does not depend on their number. Only a few batches are in memory at once. Children are forked from a
    fresh process that has imported what they need (never from this one, whose threads may hold locks), and only for a
    set that is worth it.
    """
    beginning: list[list[Trace]] = []
    characters = 0
    while characters < SMALL_SET_CHARACTERS and (batch := next(batches, None)) is not None:
        beginning.append(batch)
        characters += sum(len(trace.question) + len(trace.thinking) + len(trace.answer) for trace in batch)
    everything = itertools.chain(beginning, batches)
    if workers == 1 or characters < SMALL_SET_CHARACTERS:
        yield from map(work, everything)
    else:
        yield from _in_children(work, everything, workers)


def _in_children(work: BatchWork, batches: Iterator[list[Trace]], workers: int) -> Iterator[Batch]:
    labeller = work.labeller
    start = (labeller.tokenizer, labeller.fmt, work.max_length_tokens, work.overlong)
    set_forkserver_preload([__name__])
    pool = ProcessPoolExecutor(workers, get_context("forkserver"), initializer=_start, initargs=start)
    under_way: deque[Future[Batch]] = deque()
    try:
        for batch in batches:
            under_way.append(pool.submit(_work, batch))
            if len(under_way) > 2 * workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_work_here: Callable[[list[Trace]], Batch]


def _start(tokenizer: PreTrainedTokenizerBase, fmt: ThinkFormat, max_length_tokens: int,
           overlong: Literal["drop", "error", "shorten"]) -> None:
    """Runs once in every child; it tokenises on one thread, as each core has a child of its own."""
    global _work_here
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _work_here = BatchWork(Labeller(tokenizer, fmt), max_length_tokens, overlong)


def _work(traces: list[Trace]) -> Batch:
    return _work_here(traces)
