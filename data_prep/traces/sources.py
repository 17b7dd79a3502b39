"""A recipe's `data.traces` as a stream of traces: the embedded world, a file or folder, a Hub data set, a mixture."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Literal

from data_prep.ledger import Ledger
from data_prep.trace import Trace
from data_prep.traces.beside_text import Lost
from data_prep.traces.mixture import interleave
from data_prep.traces.row_reader import RowReader
from data_prep.traces.rows import COMPRESSED, READERS, Rows, beside_data, file_rows, hub_rows, jsonl_rows, kind_of
from recipes.errors import UserError
from recipes.generation import GenerateTraces
from recipes.paths import find_path
from recipes.traces import FileTraces, HubTraces, JsonlTraces, MixtureTraces, NanoTraces, TracesSection, WaysTraces

OnError = Literal["stop", "skip"]
BROKEN = "broken row"
MOST_FAULTS = 5
MOST_NAMES = 10
LOOKED_AT = 100_000
LONGEST_FAULT = 400


def read_source(section: TracesSection, on_error: OnError, ledger: Ledger, key: str = "data.traces") -> Iterator[Trace]:
    """Every trace of a source, in its order, one at a time; `ledger.read` grows by one for each row.

    A broken row is counted as lost (`skip`), or ends the stream with a UserError that lists the first five faults and
    counts those in the 100,000 rows after the first (`stop`).
    """
    if isinstance(section, NanoTraces):
        yield from _nano(section, ledger)
    elif isinstance(section, WaysTraces):
        yield from _ways(section, ledger)
    elif isinstance(section, GenerateTraces):
        raise UserError(
            f"{key}.source=generate: the model has to write these traces first; a run does so itself, "
            "otherwise call python -m eval.generate recipe=… out=FILE and read that file (source=file)"
        )
    elif isinstance(section, MixtureTraces):

        def read(number: int) -> Iterator[Trace]:
            return read_source(section.parts[number].traces, on_error, ledger, f"{key}.parts.{number}.traces")

        yield from interleave(section, read, ledger)
    else:
        yield from _from_rows(section, on_error, ledger, key)


def _nano(section: NanoTraces, ledger: Ledger) -> Iterator[Trace]:
    from data_prep.nano_world import nano_traces

    for trace in nano_traces(dict(section.shares.items()), section.size, section.seed, section.max_operations):
        ledger.read += 1
        yield trace


def _ways(section: WaysTraces, ledger: Ledger) -> Iterator[Trace]:
    from data_prep.nano_ways import ways_traces

    for trace in ways_traces(section.way, section.answers, section.size, section.seed):
        ledger.read += 1
        yield trace


def rows_of(section: FileTraces | JsonlTraces | HubTraces, key: str) -> Rows:
    """The rows of a source that consists of rows; UserError if it cannot be opened."""
    if isinstance(section, HubTraces):
        how = {"streaming": True} if section.access == "stream" else {}
        return hub_rows(section.id, section.config, section.split, f"{key}.id", **how)
    path = Path(find_path(str(section.path)))
    if isinstance(section, JsonlTraces):
        return jsonl_rows(path, f"{key}.path", section.unpack_limit)
    if path.is_file() and kind_of(path) not in READERS:
        raise UserError(
            f"{key}.path={section.path}: unknown suffix {kind_of(path) or '(none)'}; "
            f"known: {', '.join(READERS)}, also packed ({', '.join(COMPRESSED)}); "
            "source=jsonl reads JSON Lines of any name"
        )
    return file_rows(path, f"{key}.path", section.unpack_limit)


def _note_what_is_not_read(section: FileTraces | JsonlTraces | HubTraces, key: str, ledger: Ledger) -> None:
    """Notes the files and folders inside a folder of traces that are not data files."""
    if isinstance(section, FileTraces) and (folder := Path(find_path(str(section.path)))).is_dir():
        names = beside_data(folder)
        if names:
            more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
            ledger.note(f"{key}.path: not read in {folder}: {', '.join(names[:MOST_NAMES])}{more}")


def _from_rows(
    section: FileTraces | JsonlTraces | HubTraces, on_error: OnError, ledger: Ledger, key: str
) -> Iterator[Trace]:
    reader, rows, read = RowReader(section, ledger, key), rows_of(section, key), 0
    _note_what_is_not_read(section, key, ledger)
    for where, row in rows:
        read += 1
        ledger.read += 1
        try:
            trace = reader.trace(where, row)
        except Lost as lost:
            ledger.lose(lost.reason, where, str(lost))
        except ValueError as fault:
            if on_error == "stop":
                raise _all_faults(f"{where}: {_short(fault)}", reader, rows) from None
            ledger.lose(BROKEN, where, _short(fault))
        else:
            yield trace
    if not read:
        raise UserError(
            f"{key}: it contains no traces; every row must have {{question, thinking, answer}}, "
            "{messages} or another layout of docs/trace_formats.md"
        )


def _all_faults(first: str, reader: RowReader, rows: Rows) -> UserError:
    """The error that ends the stream: the first five faults and how many more there are."""
    faults, more, looked_at = [first], 0, 0
    for where, row in islice(rows, LOOKED_AT):
        looked_at += 1
        try:
            reader.trace(where, row)
        except Lost:
            continue
        except ValueError as fault:
            if len(faults) < MOST_FAULTS:
                faults.append(f"{where}: {_short(fault)}")
            else:
                more += 1
    among = f" among the next {LOOKED_AT:,} rows" if looked_at == LOOKED_AT else ""
    skipping = ", or skip and count such rows with data.on_error=skip" if reader.key.startswith("data.") else ""
    return UserError("\n".join([*faults, *([f"… and {more} more{among}"] if more else []), f"fix the rows{skipping}"]))


def _short(fault: ValueError) -> str:
    text = str(fault).replace("\n", " ")
    return text if len(text) <= LONGEST_FAULT else text[:LONGEST_FAULT] + " …"
