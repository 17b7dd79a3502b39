"""Selection by score: the models' loss on a trace says how hard it is, and the middle is often the best part to keep.

(arXiv 2309.04564 finds the middle band of perplexity best; for recovery the natural score is the gap between the pruned
and the unpruned model.) The scores come from `python -m data_prep score`. Ranks are taken among the traces that arrive;
meanwhile the traces wait in a file, not in memory.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from data_prep.ledger import Ledger
from data_prep.rows import read_jsonl
from data_prep.traces import Trace
from recipes.errors import UserError
from recipes.paths import find_path
from recipes.quality import SelectSection

Scores = dict[str, float | None]


def trace_hash(trace: Trace) -> str:
    """16 hex digits over question, thinking and answer: what a score belongs to."""
    text = "\0".join((trace.question, trace.thinking, trace.answer))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def select(traces: Iterable[Trace], section: SelectSection | None, ledger: Ledger) -> Iterator[Trace]:
    """The traces that are chosen, in order; the others are lost as `not selected`, or `without a score`.

    UserError where a trace has no score, or fewer arrive than are to be kept.
    """
    if section is None:
        yield from traces
        return
    scores = read_scores(section)
    with tempfile.TemporaryFile("w+", encoding="ascii") as waiting:
        found = array("d", _set_down(traces, scores, section, ledger, waiting))
        kept = chosen(found, section)
        waiting.seek(0)
        for number, line in enumerate(waiting):
            trace = Trace(**json.loads(line))
            if number in kept:
                yield trace
            else:
                ledger.lose("not selected", trace.where, f"its {section.score} is {found[number]:.4f}")


def _set_down(traces: Iterable[Trace], scores: Scores, section: SelectSection, ledger: Ledger, waiting: TextIO
              ) -> Iterator[float]:
    """Writes each trace that has a score to the file, and gives the score."""
    for trace in traces:
        key = trace_hash(trace)
        if key not in scores:
            raise UserError(f"data.select.scores={section.scores}: it has no score for trace {trace.where}; make it "
                            "from the same data and filters with python -m data_prep score recipe=… out=FILE")
        score = scores[key]
        if score is None:
            ledger.lose("without a score", trace.where, "too long, or it cannot be labelled")
        else:
            waiting.write(json.dumps(asdict(trace)) + "\n")
            yield score


def read_scores(section: SelectSection) -> Scores:
    """The wanted score of every trace hash of the file, None where the trace was too long; UserError for a bad row."""
    column = "gap" if section.score == "gap" else f"loss_{section.score}"
    scores: Scores = {}
    for where, row in read_jsonl(Path(find_path(str(section.scores))), "data.select.scores"):
        if not isinstance(row, dict) or not isinstance(row.get("trace"), str) or column not in row:
            raise UserError(f"{where}: a row of scores holds trace and {column}, as python -m data_prep score writes "
                            "it")
        if row[column] is not None and not _is_number(row[column]):
            raise UserError(f"{where}: {column} must be a number, got {row[column]!r}")
        scores[row["trace"]] = row[column]
    return scores


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def chosen(scores: Sequence[float], section: SelectSection) -> set[int]:
    """Places of the scores to keep; of equal scores the first counts as the lower one."""
    if section.keep == "band":
        assert section.low is not None and section.high is not None
        return {i for i, score in enumerate(scores) if section.low <= score <= section.high}
    total = len(scores)
    wanted = section.count if section.count is not None else max(1, int((section.share or 0) * total + 0.5))
    if wanted > total:
        raise UserError(f"data.select.count={wanted}: only {total} traces have arrived there; write at most {total}")
    ordered = sorted(range(total), key=lambda i: (scores[i], i))
    start = {"bottom": 0, "middle": (total - wanted) // 2, "top": total - wanted}[section.keep]
    return set(ordered[start:start + wanted])
