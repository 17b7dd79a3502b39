"""The prepared set: a recipe's traces read, filtered, tokenised and labelled once, kept on disk and mapped from there.

<data.cache_dir>/<identity>/rows.arrow      the rows, in the order of the traces
                            manifest.json   their facts (see `data_prep.prepared.manifest`)
                            lengths.png     their lengths
                            COMPLETE        size and SHA-256 of these files
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from data_prep.filtering.pipeline import read_and_filter
from data_prep.ledger import Ledger
from data_prep.prepared.allowance import Allowance
from data_prep.prepared.identity import identity
from data_prep.prepared.length_figure import draw_lengths
from data_prep.prepared.manifest import Manifest, length_facts, packing_facts
from data_prep.prepared.packing import pack
from data_prep.prepared.store import RowWriter, StoredRows
from data_prep.problem import Suite
from data_prep.tokens.batches import TOO_LONG, Batch, BatchWork, batches_of, refuse
from data_prep.tokens.prompts import ThinkFormat
from data_prep.tokens.tokenize import Labeller
from data_prep.tokens.workers import work_in_order
from data_prep.trace import Trace
from recipes.data import DataSection
from recipes.errors import UserError
from runtime.cache import make_once
from runtime.progress import progress
from runtime.pulse import beat

ROWS, MANIFEST, FIGURE, LOST = "rows.arrow", "manifest.json", "lengths.png", "lost.jsonl"
Say = Callable[[str], None]


def quiet(text: str) -> None:
    """A `say` that prints nothing."""


@dataclass(frozen=True)
class Prepared:
    """An open prepared set."""

    folder: Path
    rows: StoredRows
    manifest: Manifest

    @property
    def read(self) -> int:
        return int(self.manifest["rows"]["read"])

    @property
    def too_long(self) -> int:
        return int(self.manifest["rows"]["lost"].get(TOO_LONG, 0))

    @property
    def longest_tokens(self) -> int:
        """Of all traces, including the dropped ones."""
        return int(self.manifest["lengths"]["quantiles"]["100"])

    @property
    def tokens(self) -> int:
        return int(self.manifest["tokens"])

    @property
    def labelled_tokens(self) -> int:
        return int(self.manifest["labelled_tokens"])

    @property
    def hash(self) -> str:
        return str(self.manifest["hash"])

    @cached_property
    def packed(self) -> list[list[int]]:
        """The packed rows of `data.packing`, as lists of row numbers; each trace is in exactly one."""
        return pack(self.rows.lengths().tolist(), int(self.manifest["max_length_tokens"]))

    def facts(self) -> dict[str, Any]:
        """The part of the manifest that the run record keeps: all but the names of single rows."""
        rows = {key: value for key, value in self.manifest["rows"].items() if key != "named"}
        return {
            "traces_read": self.read,
            "traces_kept": len(self.rows),
            "traces_too_long": self.too_long,
            "longest_tokens": self.longest_tokens,
            **self.manifest,
            "rows": rows,
        }


def prepare(
    section: DataSection,
    tokenizer: PreTrainedTokenizerBase,
    fmt: ThinkFormat,
    say: Say = quiet,
    suites: Sequence[Suite] = (),
) -> Prepared:
    """The prepared set of a recipe's data, from the cache if it is there. Says in one line whether it was.

    suites: those that the traces must not overlap with.

    UserError names the faulty trace, or says why none is left. One process at a time makes a set; any number may read
    it.
    """
    folder = section.cache_dir / identity(section, tokenizer, fmt, [[suite.name, suite.hash] for suite in suites])
    work = BatchWork(Labeller(tokenizer, fmt), section.max_length_tokens, section.overlong)
    read = partial(read_and_filter, section, suites=suites)
    outcome = make_once(folder, lambda place: _make(place, section, read, work), say)
    say(f"prepared set {outcome} in {folder}")
    return open_prepared(folder)


def open_prepared(folder: Path) -> Prepared:
    """The set in a folder that `make_once` has verified or made."""
    return Prepared(folder, StoredRows(folder / ROWS), json.loads((folder / MANIFEST).read_text(encoding="utf-8")))


def _make(folder: Path, section: DataSection, read: Callable[[Ledger], Iterator[Trace]], work: BatchWork) -> None:
    """Writes rows, manifest and figure of `section` into `folder`."""
    lengths, workers = Counter[int](), section.workers or len(os.sched_getaffinity(0))
    allowance = Allowance(section.labelled_tokens)
    with (
        (folder / LOST).open("w", encoding="utf-8", errors="backslashreplace") as lost,
        RowWriter(folder / ROWS) as writer,
    ):
        ledger = Ledger(lost)
        done = work_in_order(work, batches_of(read(ledger)), workers)
        for batch in _shown(done, ledger):
            _account(batch, section, ledger)
            lengths.update(batch.lengths)
            writer.write(allowance.within(batch.rows, ledger))
    ledger.kept = writer.rows
    if not writer.rows:
        raise UserError(_nothing_left(section, ledger, lengths))
    allowance.check_spent()
    manifest = _manifest(folder, section, writer, ledger, lengths)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    draw_lengths(manifest, folder / FIGURE)


def _account(batch: Batch, section: DataSection, ledger: Ledger) -> None:
    """Counts lost and changed traces; UserError at the first loss that the recipe does not allow."""
    for dropped in batch.dropped:
        refuse(dropped, section)
        ledger.lose(dropped.reason, dropped.where, dropped.why)
    for change in batch.changes:
        ledger.change(change)


def _shown(batches: Iterable[Batch], ledger: Ledger) -> Iterator[Batch]:
    """The batches, with a progress count of the traces read; the total of a stream is not known."""
    with progress("preparing traces", None, "traces read") as work:
        for batch in batches:
            yield batch
            beat(sum(batch.lengths))
            work.advance(ledger.read - work.done)


def _nothing_left(section: DataSection, ledger: Ledger, lengths: Counter[int]) -> str:
    if ledger.lost.total() == ledger.lost[TOO_LONG] > 0:
        return (
            f"data.max_length_tokens={section.max_length_tokens}: all {ledger.read} traces are longer "
            f"(the longest has {max(lengths)} tokens); raise it"
        )
    lost = ", ".join(f"{count} {reason}" for reason, count in ledger.lost.items()) or "the source is empty"
    return f"data.traces: none of the {ledger.read} traces is left ({lost})"


def _manifest(folder: Path, section: DataSection, writer: RowWriter, ledger: Ledger, lengths: Counter[int]) -> Manifest:
    capacity = section.max_length_tokens
    of_rows = StoredRows(folder / ROWS).lengths()
    packed = len(pack(of_rows.tolist(), capacity))
    return {
        "hash": writer.hash,
        "max_length_tokens": capacity,
        "overlong": section.overlong,
        "rows": ledger.facts(),
        "tokens": writer.tokens,
        "labelled_tokens": writer.labelled_tokens,
        "labelled_share": round(writer.labelled_tokens / writer.tokens, 4),
        "lengths": length_facts(lengths),
        "packing": packing_facts(writer.tokens, writer.rows, int(of_rows.max()), packed, capacity),
    }
