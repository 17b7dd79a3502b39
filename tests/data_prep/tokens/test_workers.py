"""Batches come back in their order, and only a few wait at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from data_prep.tokens.batches import BatchWork, batches_of
from data_prep.tokens.prompts import think_format
from data_prep.tokens.tokenize import Labeller
from data_prep.tokens.workers import work_in_order
from data_prep.trace import Trace
from recipes.data import FormatSection
from tests.data_prep.tokenizers import qwen_like

QWEN = qwen_like()
TRACE = Trace("t", "2+2?", "2+2=4", "4", "f")
WORK = BatchWork(Labeller(QWEN, think_format(FormatSection(), QWEN)), 110, "shorten")


def test_threads_give_the_same_batches_in_the_same_order() -> None:
    traces = [dataclasses.replace(TRACE, id=str(i), thinking="x\n\n" * (i % 40)) for i in range(900)]
    alone, side_by_side = (list(work_in_order(WORK, batches_of(traces), workers)) for workers in (1, 3))
    assert alone == side_by_side and len(alone) == 8
    assert [batch.rows["id"][0].as_py() for batch in alone] == [str(128 * i) for i in range(8)]


def test_no_more_is_read_than_waits_for_the_workers() -> None:
    read: list[int] = []

    def batches() -> Iterator[list[Trace]]:
        for number in range(100):
            read.append(number)
            yield [TRACE]

    next(work_in_order(WORK, batches(), 2))
    assert len(read) == 5  # two for each worker, and the one that made the first come out


def test_a_fault_of_a_batch_is_raised_where_the_batch_would_come() -> None:
    broken = [[TRACE], [dataclasses.replace(TRACE, thinking=None)]]  # type: ignore[arg-type]
    results = work_in_order(WORK, iter(broken), 2)
    assert next(results).rows.num_rows == 1
    with pytest.raises(AttributeError):
        next(results)
