"""`python -m data_prep decontaminate traces=FILE suite=FILE out=FILE`: removes traces that overlap with suites.

The remaining traces are written to `out`, every overlap of a trace with a problem to `out` + `.overlaps.jsonl`:
{trace, suite, problem, shared, runs, coverage, example}. Existing files are never overwritten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from pydantic import Field

from data_prep.filtering.decontaminate import Overlap, SuiteIndex
from data_prep.ledger import Ledger
from data_prep.suites.load import load_suite, suite_called
from data_prep.traces.files import check_new, new_file, read_file, trace_row, write_row
from recipes.loader import load_arguments
from recipes.quality import OverlapRules
from recipes.unpack_limit import UNPACK_LIMIT, UnpackLimit
from runtime.progress import counted

MOST_SHOWN = 10


class DecontaminateFile(OverlapRules):
    traces: Path = Field(description="the trace file")
    suite: str = Field(description="a file of problems or a known benchmark; several, separated by commas")
    out: Path = Field(description="the file for the remaining traces; an existing one is never overwritten")
    unpack_limit: UnpackLimit = UNPACK_LIMIT


def main(arguments: list[str]) -> None:
    """Writes both files and prints the numbers."""
    section = load_arguments(arguments, DecontaminateFile)
    pairs_file = section.out.with_name(section.out.name + ".overlaps.jsonl")
    for path in (section.out, pairs_file):
        check_new(path)
    suites = [load_suite(suite_called(name.strip(), "suite"), "suite") for name in section.suite.split(",")]
    index, ledger, overlapping = SuiteIndex(suites, section), Ledger(), []
    with new_file(section.out) as kept_file, new_file(pairs_file) as pairs:
        traces = read_file(section.traces, ledger, section.unpack_limit)
        for trace in counted(traces, "traces compared with suites", None, "traces"):
            overlaps = index.overlaps(trace.question)
            if overlaps:
                overlapping.append((trace.id, overlaps))
                _write_overlaps(pairs, trace.id, overlaps)
            else:
                ledger.kept += 1
                write_row(kept_file, trace_row(trace))
    print(summary(overlapping, ledger, section))
    if not ledger.kept:  # readers refuse a file without traces
        section.out.unlink()
    print(f"kept {section.out if ledger.kept else 'nothing, so no file'}\noverlaps {pairs_file}")


def _write_overlaps(file: TextIO, trace: str, overlaps: Sequence[Overlap]) -> None:
    for overlap in overlaps:
        write_row(file, {"trace": trace, **asdict(overlap), "coverage": round(overlap.coverage, 4)})


def summary(overlapping: Sequence[tuple[str, Sequence[Overlap]]], ledger: Ledger, section: OverlapRules) -> str:
    """How many traces overlap, with which suites, and the largest overlaps."""
    by_suite = Counter(name for _, overlaps in overlapping for name in {overlap.suite for overlap in overlaps})
    problems = {(overlap.suite, overlap.problem) for _, overlaps in overlapping for overlap in overlaps}
    lines = [
        f"{ledger.read:,} traces, {len(overlapping):,} overlap with {len(problems):,} problems, {ledger.kept:,} kept "
        f"(runs of {section.n} {section.unit}, {section.shared} shared)"
    ]
    lines += [f"{count:8,}  with {name}" for name, count in sorted(by_suite.items())]
    largest = sorted(overlapping, key=lambda pair: -pair[1][0].coverage)[:MOST_SHOWN]
    return "\n".join(
        lines
        + [
            f"  {trace}: {best.shared} of {best.runs} runs of {best.suite} {best.problem}: {best.example}"
            for trace, overlaps in largest
            for best in overlaps[:1]
        ]
    )
