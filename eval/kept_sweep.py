"""A sweep whose results survive a kill: no finished thought is lost, and none is computed twice.

Every finished thought goes into a journal at once. A complete suite becomes its samples file, and the journal is
removed. Both have a header that says what they were made from (protocol, weights, step): files with the same header
are reused, files with another one are never overwritten. Samples files are sealed. If the seal is missing or does not
match, the file is set aside and the suite is measured again, since a verdict depends on it.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from data_prep.problem import Suite
from eval.engines.pace import Pace
from eval.samples import GradedThought, read_sweep, write_samples
from eval.sweep import Notes, SweepSpec, engine_on, suite_sweep, sweep_suite
from eval.types import Engine, SuiteSweep, Thought, Weights, WhichModel
from recipes.errors import UserError
from runtime.journal import Busy, Journal, JournalWriter, Row, differences, remove_left_journals
from runtime.progress import Work, progress
from runtime.ranks import Ranks, on_first_rank
from runtime.seal import file_fault


@dataclass(frozen=True)
class Place:
    """The location of one sweep's thoughts: `folder`/<suite>/<model>-<step>.jsonl."""

    folder: Path
    model: WhichModel
    step: int

    def file(self, suite: str) -> Path:
        return self.folder / suite / f"{self.model}-{self.step:06d}.jsonl"


class KeptSweep:
    """The sweep of `spec` at `place`; `weights_hash` identifies the weights ("" if unknown).

    spare: where samples go if `place`, which is then only a cache, fills up during the sweep; without it, a full disk
    is an error. pace: of what was decoded in this process.
    """

    def __init__(
        self, spec: SweepSpec, place: Place, weights_hash: str, ranks: Ranks, spare: Place | None = None
    ) -> None:
        self.spec, self.place, self.weights_hash, self.ranks, self.spare = spec, place, weights_hash, ranks, spare
        self.pace = Pace()

    def run(self, load: Callable[[], Weights]) -> dict[str, SuiteSweep]:
        """The sweep of every suite, the same on every rank; `load` is called only if something is left to do.

        Raises UserError if the place holds files of another sweep.
        """
        complete = on_first_rank(self.ranks, self._complete_suites)
        if len(complete) == len(self.spec.suites):
            return complete
        weights = load()
        with engine_on(weights, self.spec) as engine:
            sweeps = {
                suite.name: complete.get(suite.name) or self._sweep(engine, weights, suite)
                for suite in self.spec.suites
            }
            self.pace.include(engine.pace)
            return sweeps

    def set_others_aside(self) -> None:
        """Renames files of other sweeps to `<name>.other-1` …, so that `run` does not refuse them; on rank 0."""
        for suite in self.spec.suites:
            file = self.place.file(suite.name)
            for path in (file, *Journal(file, {}).files()):
                if path.is_file() and differences(read_header(path), self._header(suite)):
                    set_aside(path, "other")

    def _header(self, suite: Suite) -> dict[str, Any]:
        """The inputs of the sweep of `suite`; the first line of its files."""
        judge = self.spec.judge
        return {
            "model": self.place.model,
            "step": self.place.step,
            "suite": suite.name,
            "budgets": [0] if suite.by_likelihood else list(self.spec.protocol.budgets),
            "protocol": self._protocols[suite.name],
            "method": suite.method,
            "chance": suite.chance,
            "weights": self.weights_hash,
            "judge": judge and judge.model_dump(mode="json"),
        }

    @cached_property
    def _protocols(self) -> Mapping[str, str]:
        return {suite.name: self.spec.protocol_hash(suite) for suite in self.spec.suites}

    def _complete_suites(self) -> dict[str, SuiteSweep]:
        """The sweeps of suites whose samples file exists and is sound; raises UserError for one of another sweep."""
        complete: dict[str, SuiteSweep] = {}
        for suite in self.spec.suites:
            file = self.place.file(suite.name)
            if not os.path.lexists(file):
                continue
            header = read_header(file)
            if different := differences(header, self._header(suite)) if header else "":
                raise UserError(
                    f"{file} holds another sweep: {different}; restore these values, name another place to write to, "
                    "or remove it"
                )
            if fault := file_fault(file) if header else "it has no header":
                aside = set_aside(file, "damaged")
                print(f"{file} is not trusted ({fault}): kept as {aside.name}, and measured again", flush=True)
                continue
            # files of earlier versions, or of a suite without the column, have no groups; the suite has them
            complete[suite.name] = replace(read_sweep(file), groups=suite.groups)
        return complete

    def _sweep(self, engine: Engine, weights: Weights, suite: Suite) -> SuiteSweep:
        file, header = self.place.file(suite.name), self._header(suite)
        file.parent.mkdir(parents=True, exist_ok=True)
        with SuiteJournal(file, header) as journal:
            name, rows = on_first_rank(self.ranks, journal.take)
            writer = journal.join(name, self.ranks.rank)
            kind = GradedThought if suite.by_likelihood else Thought
            finished = _finished(kind, rows, file)
            add = writer.add if self.spare is None else ForgivingWriter(writer, file).add
            with self._progress(suite, len(finished)) as work:

                def note(thought: Any) -> None:
                    add(thought.row())
                    work.advance()

                notes: Notes[Any] = Notes(finished, note)
                thoughts = sweep_suite(engine, weights, suite, self.spec, self.ranks, notes)
        self.ranks.meet()  # every rank has closed its journal, so that rank 0 may remove them
        if self.ranks.rank == 0:
            self._write(suite, header, thoughts)
            Journal(file.with_name(name), header).remove()
            remove_left_journals(file.parent, _process_name(file, "*"))
        return suite_sweep(suite, self.spec, thoughts, self.place.model, self.place.step)

    def _progress(self, suite: Suite, finished: int) -> AbstractContextManager[Work]:
        """Progress of this rank's share of the remaining thoughts or choices."""
        left = len(suite.problems) * (1 if suite.by_likelihood else self.spec.samples) - finished
        model = f"step {self.place.step}" if self.place.model == "run" else self.place.model
        rank = f" (rank {self.ranks.rank} of {self.ranks.count})" if self.ranks.count > 1 else ""
        unit = "problems" if suite.by_likelihood else "thoughts"
        return progress(f"{model} sweep, {suite.name}{rank}", -(-left // self.ranks.count), unit)

    def _write(self, suite: Suite, header: Mapping[str, Any], thoughts: list[GradedThought]) -> None:
        file = self.place.file(suite.name)
        try:
            write_samples(file, dict(header), thoughts)
        except OSError as fault:
            if self.spare is None:
                raise
            print(
                f"{file}: cannot be written ({fault.strerror}); the sweep is kept in {self.spare.folder} alone",
                flush=True,
            )
            write_samples(self.spare.file(suite.name), dict(header), thoughts)


class ForgivingWriter:
    """Adds thoughts to a journal in a cache until writing fails, which is printed once; a kill then loses the rest."""

    def __init__(self, writer: JournalWriter, file: Path) -> None:
        self.writer, self.file, self.has_failed = writer, file, False

    def add(self, row: Row) -> None:
        if self.has_failed:
            return
        try:
            self.writer.add(row)
        except OSError as fault:
            self.has_failed = True
            print(
                f"{self.file}: journal cannot be written ({fault.strerror}); the sweep continues without it", flush=True
            )


def _finished(kind: type[Any], rows: list[Row], file: Path) -> dict[tuple[str, int], Any]:
    """The entries of a journal by problem and sample. Raises UserError for an invalid one."""
    try:
        return {(row["problem"], row["sample"]): kind.of_row(row) for row in rows}
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise UserError(
            f"{file}.journal-*: damaged, a line is not a thought ({type(fault).__name__}: {fault}); remove these files"
        ) from None


class SuiteJournal:
    """The journal of one suite's sweep, with one file per rank, open inside the context.

    Rank 0 calls `take` before any rank calls `join`: it holds its file from then on, so that no other process can take
    the name while the ranks agree on it.
    """

    def __init__(self, file: Path, header: Mapping[str, Any]) -> None:
        self.file, self.header = file, header
        self._opened = ExitStack()
        self._writer: JournalWriter | None = None

    def __enter__(self) -> SuiteJournal:
        return self

    def __exit__(self, *fault: object) -> None:
        self._opened.close()

    def take(self) -> tuple[str, list[Row]]:
        """The journal's name and its rows; on rank 0.

        If another process is writing the same sweep, this one uses another name: both then do the same work, and the
        last one to finish leaves the same file.
        """
        try:
            return self._take(self.file.name)
        except Busy:
            return self._take(_process_name(self.file, str(os.getpid())))

    def _take(self, name: str) -> tuple[str, list[Row]]:
        journal = Journal(self.file.with_name(name), self.header)
        rows = journal.rows()
        self._writer = self._opened.enter_context(journal.writer(0))
        return name, rows

    def join(self, name: str, rank: int) -> JournalWriter:
        """This rank's writer; on rank 0 the one that `take` has opened already."""
        if self._writer is None:
            journal = Journal(self.file.with_name(name), self.header)
            self._writer = self._opened.enter_context(journal.writer(rank))
        return self._writer


def set_aside(path: Path, why: str) -> Path:
    """Renames `path` to `<name>.<why>-1` … and returns the new path."""
    number = len(list(path.parent.glob(f"{glob.escape(path.name)}.{why}-*"))) + 1
    aside = path.with_name(f"{path.name}.{why}-{number}")
    with suppress(FileNotFoundError):  # another process has just done the same
        path.replace(aside)
    return aside


def _process_name(file: Path, process: str) -> str:
    return f"{file.stem}-{process}{file.suffix}"


def read_header(path: Path) -> dict[str, Any]:
    """The first line of a samples file or a journal; {} if it is not a header."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            header = json.loads(file.readline())
    except (OSError, ValueError, RecursionError):  # no file, a folder, or a line that is not a header
        return {}
    return header if isinstance(header, dict) else {}
