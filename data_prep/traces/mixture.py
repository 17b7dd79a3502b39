"""Several sources as one stream, in fixed shares and without read-ahead.

How weights are applied: part i begins at a phase u_i in [0, 1), drawn from the seed, and its k-th trace (from 0) is due
at the time (k + u_i) / w_i. Traces come in the order in which they are due. Only the phases are random: after any
number of traces, each part has given its share of them to within one trace for each part. Shares are those of the
traces read; traces that later stages drop are not replaced.

When a part has no more traces, `go_on` continues without it (the others keep their shares among themselves), `stop`
ends the mixture, and `repeat` reads the part again (the ids of the second pass end in #2). The ledger notes the result.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from data_prep.ledger import Ledger
from data_prep.trace import Trace
from recipes.errors import UserError
from recipes.traces import MixtureTraces


class _Part:
    """One source that can be read again."""

    def __init__(self, read: Callable[[], Iterator[Trace]], weight: float, phase: float) -> None:
        self.read, self.weight, self.phase = read, weight, phase
        self.given, self.passes = 0, 1
        self.traces = read()

    @property
    def due(self) -> float:
        return (self.given + self.phase) / self.weight

    def next(self) -> Trace | None:
        """The next trace, or None at the end; from the second pass on, ids include its number."""
        trace = next(self.traces, None)
        if trace is None:
            return None
        self.given += 1
        return trace if self.passes == 1 else replace(trace, id=f"{trace.id}#{self.passes}")

    def again(self) -> Trace | None:
        """The first trace of another pass."""
        self.passes, self.traces = self.passes + 1, self.read()
        return self.next()


def interleave(section: MixtureTraces, read: Callable[[int], Iterator[Trace]], ledger: Ledger) -> Iterator[Trace]:
    """The traces of a mixture; `read(i)` gives those of part i from the start. No part is read further than needed."""
    rng = random.Random(f"mixture {section.seed}")
    parts = [_Part(partial(read, number), part.weight, rng.random()) for number, part in enumerate(section.parts)]
    queue = [(part.due, number) for number, part in enumerate(parts)]
    heapq.heapify(queue)
    taken = 0
    ended: list[str] = []
    while queue and taken != section.size:
        _, number = heapq.heappop(queue)
        part = parts[number]
        trace = part.next()
        if trace is None and section.when_exhausted == "repeat":
            trace = part.again()
            if trace is None:
                raise UserError(f"data.traces.parts.{number}: it has no traces, so it cannot be repeated")
        if trace is None:
            ended.append(f"part {number} ended after {part.given:,}")
            if section.when_exhausted == "stop":
                break
            continue
        heapq.heappush(queue, (part.due, number))  # back into the queue at the time of its next trace
        taken += 1
        yield trace
    ledger.note(_outcome(section, parts, ended))


def _outcome(section: MixtureTraces, parts: list[_Part], ended: list[str]) -> str:
    total, weights = sum(part.given for part in parts), sum(part.weight for part in parts)
    shares = "; ".join(
        f"part {number} gave {part.given:,} of {total:,} traces ({part.given / max(1, total):.1%}, "
        f"weight {part.weight / weights:.1%}" + (f", {part.passes} passes)" if part.passes > 1 else ")")
        for number, part in enumerate(parts)
    )
    short = f"; target {section.size:,}" if section.size is not None and total < section.size else ""
    return f"mixture: {shares}{short}" + (
        f"; {', '.join(ended)} (when_exhausted={section.when_exhausted})" if ended else ""
    )
