"""Selection by score: the models' loss on a trace measures how hard it is, and the middle is often best to keep.

(arXiv 2309.04564 finds the middle band of perplexity best; for recovery the natural score is the gap between the pruned
and the unpruned model.) The scores come from `python -m data_prep score`. Ranks are taken among the traces that arrive;
until then the traces are held in a file, not in memory.
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
from data_prep.tokens.batches import TOO_LONG
from data_prep.trace import Trace
from data_prep.traces.rows import jsonl_rows
from recipes.data import DataSection
from recipes.errors import UserError
from recipes.paths import find_path
from recipes.quality import SelectSection

Scores = dict[str, float | str]
"""trace hash -> its score, or why it has none"""


def trace_hash(trace: Trace) -> str:
    """16 hex digits over question, thinking and answer: what a score belongs to."""
    text = "\0".join((trace.question, trace.thinking, trace.answer))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def select(traces: Iterable[Trace], data: DataSection, ledger: Ledger) -> Iterator[Trace]:
    """The selected traces, in order; the others are lost as `not selected`, or `without a score`.

    UserError if a trace is not in the file, has no score for a reason that `data` does not allow, or fewer traces
    arrive than are to be kept.
    """
    section = data.select
    if section is None:
        yield from traces
        return
    scores = read_scores(section)
    with tempfile.TemporaryFile("w+", encoding="ascii") as waiting:
        values = array("d", _written(_scored(traces, scores, data, ledger), waiting))
        places = chosen(values, section)
        waiting.seek(0)
        for number, line in enumerate(waiting):
            trace = Trace(**json.loads(line))
            if number in places:
                yield trace
            else:
                ledger.lose("not selected", trace.where, f"its {section.score} is {values[number]:.4f}")


def _scored(
    traces: Iterable[Trace], scores: Scores, data: DataSection, ledger: Ledger
) -> Iterator[tuple[Trace, float]]:
    """The traces that have a score, each with its score."""
    assert data.select is not None
    for trace in traces:
        score = scores.get(trace_hash(trace))
        if score is None:
            raise UserError(
                f"data.select.scores={data.select.scores}: it has no score for trace {trace.where}; make "
                "it from the same data and filters with python -m data_prep score recipe=… out=FILE"
            )
        if isinstance(score, str):
            _refuse(trace, score, data)
            ledger.lose("without a score", trace.where, score)
        else:
            yield trace, score


def _refuse(trace: Trace, reason: str, data: DataSection) -> None:
    """UserError if the recipe does not allow a trace to be lost for the reason for which it has no score."""
    setting, instead = ("overlong=error", "overlong=drop") if reason == TOO_LONG else ("on_error=stop", "on_error=skip")
    if setting in (f"overlong={data.overlong}", f"on_error={data.on_error}"):
        raise UserError(
            f"data.{setting}: trace {trace.where} has no score in data.select.scores, which says that it is lost as "
            f"{reason!r}; make the scores again from this recipe, or write data.{instead}"
        )


def _written(scored: Iterable[tuple[Trace, float]], waiting: TextIO) -> Iterator[float]:
    """The scores; each trace is written to the file as it passes, so that none is held in memory."""
    for trace, score in scored:
        waiting.write(json.dumps(asdict(trace)) + "\n")
        yield score


def read_scores(section: SelectSection) -> Scores:
    """The score that `section` names of every trace hash of the file, or why it has none; UserError for a bad row.

    A row of an earlier version does not say why; the usual reason is that it was too long.
    """
    column = "gap" if section.score == "gap" else f"loss_{section.score}"
    scores: Scores = {}
    for where, row in jsonl_rows(Path(find_path(str(section.scores))), "data.select.scores"):
        if not isinstance(row, dict) or not isinstance(row.get("trace"), str) or column not in row:
            raise UserError(
                f"{where}: a row of scores needs trace and {column}, as python -m data_prep score writes it"
            )
        if row[column] is not None and not _is_number(row[column]):
            raise UserError(f"{where}: {column} must be a number, got {row[column]!r}")
        scores[row["trace"]] = str(row.get("lost") or TOO_LONG) if row[column] is None else row[column]
    return scores


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def chosen(scores: Sequence[float], section: SelectSection) -> set[int]:
    """Indices of the scores to keep; of equal scores the first counts as the lower one."""
    if section.keep == "band":
        assert section.low is not None and section.high is not None
        return {i for i, score in enumerate(scores) if section.low <= score <= section.high}
    total = len(scores)
    count = section.count if section.count is not None else max(1, int((section.share or 0) * total + 0.5))
    if count > total:
        raise UserError(f"data.select.count={count}: only {total} traces reach the selection; write at most {total}")
    ordered = sorted(range(total), key=lambda i: (scores[i], i))
    start = {"bottom": 0, "middle": (total - count) // 2, "top": total - count}[section.keep]
    return set(ordered[start : start + count])
