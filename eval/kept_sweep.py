"""A sweep that is kept: a kill loses no finished thought, and nothing that is there is done again.

Every finished thought goes into a journal at once; a suite that is whole becomes its samples file, and the journal
goes. Both carry what they were made of (protocol, weights, step): what is there of the same making is used, what is
there of another is never overwritten.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from data_prep.problem import Suite
from eval.samples import GradedThought, read_sweep, write_samples
from eval.sweep import Notes, SweepSpec, engine_on, suite_sweep, sweep_suite
from eval.types import Engine, SuiteSweep, Thought, Weights, WhichModel
from recipes.errors import UserError
from runtime.journal import Busy, Journal, JournalWriter, Row, differences, remove_left_journals
from runtime.ranks import Ranks, on_first_rank


@dataclass(frozen=True)
class Place:
    """Where the thoughts of one sweep are kept: `folder`/<suite>/<model>-<step>.jsonl."""

    folder: Path
    model: WhichModel
    step: int

    def file(self, suite: str) -> Path:
        return self.folder / suite / f"{self.model}-{self.step:06d}.jsonl"


class KeptSweep:
    """The sweep of `spec` at `place`; `mark` tells the weights from any others ("" where they are not known)."""

    def __init__(self, spec: SweepSpec, place: Place, mark: str, ranks: Ranks) -> None:
        self.spec, self.place, self.mark, self.ranks = spec, place, mark, ranks

    def run(self, load: Callable[[], Weights]) -> dict[str, SuiteSweep]:
        """The sweep of every suite, the same on every rank; `load` is called only where something is left to do.

        UserError where files of another making are in the place.
        """
        there = on_first_rank(self.ranks, lambda: {suite.name: self._there(suite) for suite in self.spec.suites})
        whole = {name: sweep for name, sweep in there.items() if sweep is not None}
        if len(whole) == len(there):
            return whole
        weights = load()
        with engine_on(weights, self.spec) as engine:
            return {
                suite.name: there[suite.name] or self._sweep((engine, weights), suite) for suite in self.spec.suites
            }

    def set_others_aside(self) -> None:
        """Renames files of another making to `<name>.other-1` …, so that `run` need not refuse them; on rank 0."""
        for suite in self.spec.suites:
            file = self.place.file(suite.name)
            for path in (file, *Journal(file, {}).files()):
                if path.is_file() and differences(_header(path), self._making(suite)):
                    number = len(list(path.parent.glob(f"{glob.escape(path.name)}.other-*"))) + 1
                    path.replace(path.with_name(f"{path.name}.other-{number}"))

    def _making(self, suite: Suite) -> dict[str, Any]:
        """What a sweep of `suite` is made of; the header of its files."""
        judge = self.spec.judge
        return {
            "model": self.place.model,
            "step": self.place.step,
            "suite": suite.name,
            "budgets": [0] if suite.by_likelihood else list(self.spec.protocol.budgets),
            "protocol": self._hashes[suite.name],
            "method": suite.method,
            "chance": suite.chance,
            "weights": self.mark,
            "judge": judge and judge.model_dump(mode="json"),
        }

    @cached_property
    def _hashes(self) -> Mapping[str, str]:
        return {suite.name: self.spec.protocol_hash(suite) for suite in self.spec.suites}

    def _there(self, suite: Suite) -> SuiteSweep | None:
        """The sweep of a suite that is there, whole and of the same making."""
        file = self.place.file(suite.name)
        if not file.is_file():
            return None
        said = differences(_header(file), self._making(suite))
        if said:
            raise UserError(
                f"{file} holds another sweep: {said}; put the values back, name another place to write to, or remove it"
            )
        return read_sweep(file)

    def _sweep(self, thinker: tuple[Engine, Weights], suite: Suite) -> SuiteSweep:
        file, making = self.place.file(suite.name), self._making(suite)
        file.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opened:
            writers: list[JournalWriter] = []
            name, rows = on_first_rank(self.ranks, lambda: _begun(file, making, opened, writers))
            journal = Journal(file.with_name(name), making)
            writer = writers[0] if writers else opened.enter_context(journal.writer(self.ranks.rank))
            kind = GradedThought if suite.by_likelihood else Thought
            notes: Notes[Any] = Notes(
                {(row["problem"], row["sample"]): kind.of_row(row) for row in rows}, lambda one: writer.add(one.row())
            )
            thoughts = sweep_suite(thinker, suite, self.spec, self.ranks, notes)
        self.ranks.meet()  # every writer has left its file
        if self.ranks.rank == 0:
            write_samples(file, making, thoughts)
            journal.remove()
            remove_left_journals(file.parent, _own_name(file, "*"))
        return suite_sweep(suite, self.spec, thoughts, self.place.model, self.place.step)


def _begun(
    file: Path, making: Mapping[str, Any], opened: ExitStack, writers: list[JournalWriter]
) -> tuple[str, list[Row]]:
    """The name under which a journal is kept, and its rows; rank 0's writer is in `writers` from here on, so that no
    other process takes the name meanwhile. Where one is at it, a name of our own: both then do the same work, and the
    last one to end leaves the same file."""

    def begin(name: str) -> tuple[str, list[Row]]:
        journal = Journal(file.with_name(name), making)
        rows = journal.rows()
        writers.append(opened.enter_context(journal.writer(0)))
        return name, rows

    try:
        return begin(file.name)
    except Busy:
        return begin(_own_name(file, str(os.getpid())))


def _own_name(file: Path, process: str) -> str:
    return f"{file.stem}-{process}{file.suffix}"


def _header(path: Path) -> dict[str, Any]:
    """The first line of a samples file or a journal; {} where it is none."""
    with path.open(encoding="utf-8", errors="replace") as file:
        try:
            header = json.loads(file.readline())
        except ValueError:
            return {}
    return header if isinstance(header, dict) else {}
