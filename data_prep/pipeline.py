"""From a recipe's `data` to the traces that are worth preparing: one generator after the other, nothing held in memory.

A stage takes the traces that the one before it let through and gives on those that it keeps, in the same order; for
each one that it drops it calls `ledger.lose(reason, where, why)`. To add a stage, add it to STAGES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from data_prep.ledger import Ledger
from data_prep.traces import Trace, read_traces
from recipes.data import DataSection

Stage = Callable[[Iterable[Trace], DataSection, Ledger], Iterator[Trace]]

STAGES: tuple[Stage, ...] = (
    # filters, then: duplicates, decontamination, verification, selection by score
)


def read_and_filter(section: DataSection, ledger: Ledger) -> Iterator[Trace]:
    """The traces of `section` that every stage keeps, in the order of the source.

    `ledger.read` grows by one for each row; whoever takes the traces counts `ledger.kept`.
    """
    traces: Iterator[Trace] = _read(section, ledger)
    for stage in STAGES:
        traces = stage(traces, section, ledger)
    return traces


def _read(section: DataSection, ledger: Ledger) -> Iterator[Trace]:
    for trace in read_traces(section.traces):
        ledger.read += 1
        yield trace
