"""Verification: traces whose answer is wrong against the gold answer of their row are dropped, or kept and counted.

The graders are those of the sweep. Traces are graded in chunks, so that a stream of any length needs little memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from data_prep.grading.grade import Grade, grade_all
from data_prep.ledger import Ledger
from data_prep.suites.choices import LETTER
from data_prep.trace import Trace
from recipes.quality import VerifySection

CHUNK_TRACES = 512


def verify(traces: Iterable[Trace], section: VerifySection | None, ledger: Ledger) -> Iterator[Trace]:
    """The traces that pass, in order. Lost: `wrong answer`, `no gold answer`, `answer not graded` (the grader gave up).

    If the section keeps them, they are counted as changes under the same words after `kept with`.
    """
    if section is None:
        yield from traces
        return
    stream = iter(traces)
    while chunk := list(islice(stream, CHUNK_TRACES)):
        for trace, (fault, why) in zip(chunk, faults_of(chunk, section.grader), strict=True):
            policy = section.without_gold if fault == "no gold answer" else section.wrong
            if not fault or policy == "keep":
                if fault:
                    ledger.change(f"kept with {fault}")
                yield trace
            else:
                ledger.lose(fault, trace.where, why)


def faults_of(traces: Sequence[Trace], grader: str) -> list[tuple[str, str]]:
    """(short name, description) of what is wrong with each answer; ("", "") for a right one."""
    faults: list[tuple[str, str]] = [("no gold answer", "nothing to compare with")] * len(traces)
    by_grader: dict[str, list[int]] = {}
    for i, trace in enumerate(traces):
        if trace.gold is not None and trace.gold.strip():
            by_grader.setdefault(grader_for(trace.gold) if grader == "auto" else grader, []).append(i)
    for name, places in by_grader.items():
        golds = [str(traces[i].gold) for i in places]
        for i, grade in zip(places, grade_all([traces[i].answer for i in places], golds, name), strict=True):
            faults[i] = _fault(grade, str(traces[i].gold))
    return faults


def grader_for(gold: str) -> str:
    """`choice` for a single letter A to J, else `math`."""
    return "choice" if LETTER.fullmatch(gold) else "math"


def _fault(grade: Grade, gold: str) -> tuple[str, str]:
    if grade.correct:
        return "", ""
    if grade.reason.startswith("grader "):
        return "answer not graded", grade.reason
    return "wrong answer", f"{grade.extracted[:80]!r} is not {gold[:80]!r} ({grade.reason})"
