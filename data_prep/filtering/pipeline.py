"""From a recipe's `data` to the traces worth preparing: a chain of generators, nothing is held in memory.

Each stage takes the traces of the stage before it and yields those that it keeps, in the same order. For each dropped
trace it calls `ledger.lose(reason, where, why)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from data_prep.filtering.decontaminate import decontaminate
from data_prep.filtering.duplicates import drop_duplicates
from data_prep.filtering.filters import filter_traces
from data_prep.filtering.select import select
from data_prep.filtering.verify import verify
from data_prep.ledger import Ledger
from data_prep.problem import Suite
from data_prep.trace import Trace
from data_prep.traces.sources import read_source
from recipes.data import DataSection
from recipes.errors import UserError


def read_and_filter(section: DataSection, ledger: Ledger, suites: Sequence[Suite] = ()) -> Iterator[Trace]:
    """The traces of `section` that every stage keeps, in the order of the source, without overlaps with `suites`.

    `ledger.read` grows by one for each row, and each lost one is counted; the caller counts `ledger.kept`. UserError if
    the source cannot be read, a row is broken (`on_error: stop`), or no trace is left.
    """
    traces = read_source(section.traces, section.on_error, ledger)
    traces = filter_traces(traces, section, ledger)
    traces = drop_duplicates(traces, section.duplicates, ledger)
    traces = decontaminate(traces, section.decontaminate, suites, ledger)
    traces = verify(traces, section.verify, ledger)
    traces = select(traces, section, ledger)
    return _some(traces, ledger)


def _some(traces: Iterator[Trace], ledger: Ledger) -> Iterator[Trace]:
    empty = True
    for trace in traces:
        empty = False
        yield trace
    if empty:
        lost = ", ".join(f"{reason} {count:,}" for reason, count in ledger.lost.most_common())
        first = [named[0] for named in ledger.named.values() if named][:2]
        raise UserError(
            f"data.traces: none of the {ledger.read:,} rows gives a trace ({lost}): {'; '.join(first)}\n"
            "python -m data_prep check recipe=FILE shows what each filter drops; null turns one off, such "
            "as data.filters.absent_thinking=null"
        )
