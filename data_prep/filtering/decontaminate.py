"""Decontamination: traces whose question shares runs of words (n-grams) with a problem of a suite are not trained on.

s1 (arXiv 2501.19393) and open-r1 drop a row that shares one 8-gram of words between spaces with a benchmark
(`unit: words`, `n: 8`, `shared: 1`). Split at spaces, a formula is one word, so most overlaps of mathematical problems
are missed; `unit: symbols` counts every punctuation mark as a word. Texts are compared in one spelling, and by
characters in scripts without spaces (`comparable`). A problem shorter than one run overlaps if it is the whole
question. Only the question is compared. The instruction that a suite puts under every problem does not count, and
suites that are made from a template are ignored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from data_prep.filtering.comparable import comparable, symbols, words
from data_prep.ledger import Ledger
from data_prep.problem import Suite
from data_prep.trace import Trace
from recipes.quality import DecontaminateSection, OverlapRules


@dataclass(frozen=True)
class Overlap:
    """What a question has in common with one problem: `shared` of the problem's `runs`, the first of them as text.

    A problem shorter than one run has `runs` 0; it was the whole question.
    """

    suite: str
    problem: str
    shared: int
    runs: int
    example: str

    @property
    def coverage(self) -> float:
        """Share of the problem's runs that are in the question."""
        return self.shared / self.runs if self.runs else 1.0


def split_text(text: str, unit: str) -> list[str]:
    """The units of a normalised text: symbols, or the parts between spaces."""
    return symbols(text) if unit == "symbols" else words(text)


def bare_text(text: str, instructions: Sequence[str]) -> str:
    """The normalised text, without the instruction that ends it, if any of them does."""
    flat = " ".join(comparable(text).split())
    return next((flat.removesuffix(each) for each in instructions if each and flat.endswith(each)), flat)


def runs_of(units: Sequence[str], n: int) -> list[str]:
    """All runs of `n` units in order, each joined by spaces (units hold none)."""
    return [" ".join(units[i : i + n]) for i in range(len(units) - n + 1)]


class SuiteIndex:
    """The runs of every problem of some suites, built once; a lookup then costs time in proportion to the question."""

    def __init__(self, suites: Sequence[Suite], rules: OverlapRules) -> None:
        self.rules = rules
        self._problems: list[tuple[str, str, int]] = []
        self._runs: dict[str, list[int]] = {}
        self._short: dict[str, list[int]] = {}
        instructions = {bare_text(suite.instruction, ()) for suite in suites}
        self._instructions = sorted(instructions - {""}, key=len, reverse=True)
        for suite in suites:
            for problem in suite.problems:
                self._add(suite, problem.id, problem.question)

    def _add(self, suite: Suite, problem: str, question: str) -> None:
        units = split_text(bare_text(question, [bare_text(suite.instruction, ())]), self.rules.unit)
        runs = dict.fromkeys(runs_of(units, self.rules.n))
        number = len(self._problems)
        self._problems.append((suite.name, problem, len(runs)))
        for run in runs:
            self._runs.setdefault(run, []).append(number)
        if not runs:
            self._short.setdefault(" ".join(units), []).append(number)

    def overlaps(self, question: str) -> list[Overlap]:
        """All problems that `question` overlaps with, the largest overlap first, then in the order of the suites."""
        units = split_text(question, self.rules.unit)
        shared: Counter[int] = Counter()
        example: dict[int, str] = {}
        for run in dict.fromkeys(runs_of(units, self.rules.n)):
            for number in self._runs.get(run, ()):
                shared[number] += 1
                example.setdefault(number, run)
        candidates = [
            Overlap(*self._problems[number][:2], count, self._problems[number][2], example[number])
            for number, count in sorted(shared.items())
        ]
        candidates = [
            overlap
            for overlap in candidates
            if overlap.shared >= min(self.rules.shared, overlap.runs) and overlap.coverage >= self.rules.coverage
        ]
        return self._whole(question) + sorted(candidates, key=lambda overlap: -overlap.shared)

    def _whole(self, question: str) -> list[Overlap]:
        """Problems shorter than one run that are the whole question, with or without an instruction under it."""
        if not self._short:
            return []
        bare = bare_text(question, self._instructions)
        text = " ".join(split_text(bare, self.rules.unit))
        return [Overlap(*self._problems[number][:2], 0, 0, text) for number in self._short.get(text, ())]


def decontaminate(
    traces: Iterable[Trace], section: DecontaminateSection, suites: Sequence[Suite], ledger: Ledger
) -> Iterator[Trace]:
    """The traces whose question overlaps with no problem; the others are lost as `in suite NAME`, with the overlap."""
    looked_at = [suite for suite in suites if section.enabled and suite.wording == "own"]
    if left_out := [suite.name for suite in suites if suite not in looked_at]:
        why = "made from a template" if section.enabled else "data.decontaminate.enabled=false"
        ledger.note(f"not decontaminated against {', '.join(left_out)} ({why})")
    if not looked_at:
        yield from traces
        return
    ledger.note(f"decontaminated against {', '.join(suite.name for suite in looked_at)}")
    index = SuiteIndex(looked_at, section)
    for trace in traces:
        overlaps = index.overlaps(trace.question)
        if overlaps:
            ledger.lose(f"in suite {overlaps[0].suite}", trace.where, describe(overlaps[0], section))
        else:
            yield trace


def describe(overlap: Overlap, rules: OverlapRules) -> str:
    """One overlap in words."""
    if not overlap.runs:
        return f"is problem {overlap.problem}"
    return (
        f"shares {overlap.shared} of the {overlap.runs} runs of {rules.n} {rules.unit} of problem "
        f"{overlap.problem}, such as {overlap.example!r}"
    )
