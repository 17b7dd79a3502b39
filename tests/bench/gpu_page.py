"""The measured part of docs/gpu.md, from rows and facts: pure functions from what was measured to Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.bench.gpu_rows import Row

BEGIN, END = "<!-- measured: what stands here is written by make gpu -->", "<!-- measured ends -->"
NUMBER = r"\d[\d,]*(?:\.\d+)?"
NOTE_LENGTH = 300


@dataclass(frozen=True)
class TestsSeen:
    """What came of the tests. skipped: reason -> how many; problem: why they did not come to an end, "" if they did."""

    __test__ = False  # not a test itself

    passed: int = 0
    failed: tuple[str, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    problem: str = ""

    @property
    def good(self) -> bool:
        return self.passed > 0 and not self.failed and not self.problem


def with_measured(page: str, section: str) -> str:
    """The page with another measured part; ValueError where its marks are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"docs/gpu.md: the marks {BEGIN} and {END} are not there")
    return f"{before}{BEGIN}\n\n{section}\n{END}{after}"


def section(facts: Mapping[str, str], rows: Sequence[Row], tests: TestsSeen) -> str:
    """Facts of machine and code, tests, then every figure beside its target and its rival."""
    return "\n".join([*_facts(facts), *_tests(tests), *_figures(rows), *_notes(rows)])


def _facts(facts: Mapping[str, str]) -> Iterator[str]:
    yield "| what | which |"
    yield "| --- | --- |"
    yield from (f"| {name} | {_cell(value)} |" for name, value in facts.items())
    yield ""


def _tests(tests: TestsSeen) -> Iterator[str]:
    skipped = sum(tests.skipped.values())
    yield (
        f"Tests: {tests.passed:,} passed, {len(tests.failed)} failed, {skipped} skipped, in {tests.seconds:.0f} s"
        f"{f' ({tests.problem})' if tests.problem else ''}."
    )
    yield from (f"- failed: `{name}`" for name in tests.failed)
    yield from (f"- skipped, {count}: {reason}" for reason, count in sorted(tests.skipped.items()))
    yield ""


def _figures(rows: Iterable[Row]) -> Iterator[str]:
    yield "| figure | measured | target | met | rival | ratio |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for row in rows:
        if row["value"] is None:
            yield f"| {_cell(row['name'])} | not measured | {_cell(_target(row))} | | | |"
            continue
        met = {True: "yes", False: "**no**", None: ""}[is_met(row)]
        unit = f" {row['unit']}" if row.get("unit") else ""
        rival = "" if row.get("rival") is None else number(row["rival"]) + unit
        ratio = "" if row.get("ratio") is None else f"{row['ratio']:.2f}"
        measured = number(row["value"]) + unit
        yield f"| {_cell(row['name'])} | {measured} | {_cell(_target(row))} | {met} | {rival} | {ratio} |"
    yield ""


def _notes(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        if row.get("note"):
            yield f"- {_cell(row['name'])}: {_cell(str(row['note'])[-NOTE_LENGTH:])}"


def is_met(row: Row) -> bool | None:
    """Whether the value is on the right side of its target; None where there is none. A bare number is a least one."""
    value, target = row["value"], _target(row)
    numbers = [float(text.replace(",", "")) for text in re.findall(NUMBER, target)]
    if not numbers or value is None:
        return None
    if len(numbers) == 2:
        return numbers[0] <= value <= numbers[1]
    return bool(value <= numbers[0]) if target.startswith("at most") else bool(value >= numbers[0])


def _target(row: Row) -> str:
    target = row.get("target")
    if isinstance(target, int | float):
        return f"at least {number(target)}"
    return target or ""


def number(value: float) -> str:
    """Three digits that say something, and no more."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _cell(text: str) -> str:
    """Text for a cell or a line: bars and line ends would break it."""
    return " ".join(str(text).replace("|", "/").split())
