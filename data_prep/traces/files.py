"""Trace files: reading by path, and writing atomically without ever overwriting a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TextIO

from data_prep.ledger import Ledger
from data_prep.trace import Trace
from data_prep.traces.rows import READERS, kind_of
from data_prep.traces.sources import read_source
from recipes.errors import UserError
from recipes.traces import FileTraces, JsonlTraces
from recipes.unpack_limit import UNPACK_LIMIT
from runtime.files import creating
from runtime.seal import creating_sealed


def read_file(path: Path, ledger: Ledger, unpack_limit: int = UNPACK_LIMIT) -> Iterator[Trace]:
    """The traces of a file or folder of any layout, counted; UserError names the row that is broken, or the file that
    unpacks to more than `unpack_limit` times its size."""
    is_known = path.is_dir() or kind_of(path) in READERS
    section: FileTraces | JsonlTraces = (
        FileTraces(source="file", path=path, unpack_limit=unpack_limit)
        if is_known
        else JsonlTraces(source="jsonl", path=path, unpack_limit=unpack_limit)
    )
    return read_source(section, "stop", ledger, "traces")


def trace_row(trace: Trace) -> dict[str, Any]:
    """The row of a trace file, from which the same trace is read again.

    The plain layout means that the thought is whole; an absent or unclosed one is written as the reply that contained
    it.
    """
    row = {"id": trace.id, "question": trace.question, "thinking": trace.thinking, "answer": trace.answer}
    if trace.thought != "whole":
        reply = trace.answer if trace.thought == "absent" else f"<think>\n{trace.thinking}"
        row = {"id": trace.id, "prompt": trace.question, "completion": reply}
    return row if trace.gold is None else {**row, "gold": trace.gold}


def check_new(out: Path, key: str = "out") -> None:
    """UserError if the file exists already, or its folder does not."""
    if out.exists():
        raise UserError(f"{key}={out}: the file exists already; name another, or remove it first")
    if not out.parent.is_dir():
        raise UserError(f"{key}={out}: there is no folder {out.parent}")


@contextmanager
def new_file(out: Path, key: str = "out") -> Iterator[TextIO]:
    """A file to write, which appears as `out` when the block ends without an exception; UserError if that fails."""
    with _new(out, key, creating) as file:
        yield file


@contextmanager
def new_sealed_file(out: Path, key: str = "out") -> Iterator[TextIO]:
    """`new_file` with a seal next to it, with which `runtime.seal.file_fault` verifies it."""
    with _new(out, key, creating_sealed) as file:
        yield file


@contextmanager
def _new(out: Path, key: str, create: Callable[[Path], AbstractContextManager[Path]]) -> Iterator[TextIO]:
    check_new(out, key)
    try:
        with create(out) as temporary, temporary.open("w", encoding="utf-8") as file:
            yield file
    except FileExistsError:
        raise UserError(f"{key}={out}: the file exists already; name another, or remove it first") from None
    except OSError as fault:
        raise UserError(f"{key}={out}: cannot be written ({fault})") from None


def write_row(file: TextIO, row: Mapping[str, Any]) -> None:
    """One line of JSON."""
    file.write(json.dumps(row, ensure_ascii=False) + "\n")
