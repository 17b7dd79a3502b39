"""`python -m data_prep check traces=FILE | recipe=FILE [key=value ...]`: what is in a trace set, before training on it.

Prints a table of the rows that were read, those that give no trace, and what each filter drops by itself (`would drop`
if it is off, at a setting that suits it). A trace may be counted by several filters.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from data_prep.filtering.filters import FILTERS, Filter
from data_prep.ledger import Ledger
from data_prep.traces.sources import read_source
from recipes.command import split
from recipes.data import DataSection
from recipes.errors import UserError
from recipes.filters import FiltersSection
from recipes.loader import load
from recipes.paths import find_path
from recipes.schema import Recipe
from recipes.traces import FileTraces, Layout
from recipes.unpack_limit import UNPACK_LIMIT
from runtime.progress import counted

OWN = {
    "traces": "a trace file or folder, checked with the default filters; or give recipe=FILE",
    "format": "with traces=: the layout of its rows (default auto)",
    "unpack_limit": f"with traces=: how many times its size a packed file may unpack to (default {UNPACK_LIMIT})",
}
LONGEST_EXAMPLE = 200


@dataclass
class Checked:
    """The counts. `dropped`: traces by filter; `first`: one example per filter; `kept`: traces that no filter drops."""

    ledger: Ledger = field(default_factory=Ledger)
    dropped: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    kept: int = 0


def main(arguments: list[str]) -> None:
    """Prints the table; UserError if the source cannot be read."""
    keys, rest = split(arguments, OWN, Recipe)
    section = _section(keys, rest)
    print("\n".join(lines(check(section), section.filters)))


def _section(keys: dict[str, str], rest: list[str]) -> DataSection:
    if "traces" not in keys:
        return load(rest, Recipe).data
    if rest:
        raise UserError(
            f"data_prep check: {rest[0]} does not go with traces=; the filters of a recipe are checked "
            "with recipe=FILE key=value"
        )
    if not keys["traces"]:
        raise UserError("data_prep check: traces= is empty; write traces=FILE or a folder of files")
    layout = next((name for name in get_args(Layout) if name == keys.get("format", "auto")), None)
    if layout is None:
        raise UserError(f"format={keys['format']}: allowed: {', '.join(get_args(Layout))}")
    path = Path(find_path(keys["traces"]))
    if not path.exists():
        raise UserError(f"traces={keys['traces']}: there is no such file or folder")
    traces = FileTraces(source="file", path=path, format=layout, unpack_limit=_unpack_limit(keys))
    return DataSection(traces=traces, max_length_tokens=2**31)


def _unpack_limit(keys: dict[str, str]) -> int:
    text = keys.get("unpack_limit", str(UNPACK_LIMIT))
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise UserError(f"unpack_limit={text}: must be a whole number, at least 1")
    return int(text)


def check(section: DataSection) -> Checked:
    """Reads the whole source, skipping broken rows, and applies every filter to every trace."""
    checked = Checked()
    settings = [(candidate, _setting(candidate, section.filters)) for candidate in FILTERS]
    for trace in counted(read_source(section.traces, "skip", checked.ledger), "traces checked", None, "traces"):
        sound = True
        for candidate, (setting, active) in settings:
            if why := candidate.why(trace, setting):
                checked.dropped[candidate.key] += 1
                checked.first.setdefault(candidate.key, f"{trace.where}: {why}")
                sound = sound and not active
        checked.kept += sound
    return checked


def _setting(candidate: Filter, filters: FiltersSection) -> tuple[object, bool]:
    """The setting to test, and whether the recipe turns the filter on."""
    setting = getattr(filters, candidate.key)
    return (candidate.suggested, False) if setting is None else (setting, True)


def lines(checked: Checked, filters: FiltersSection) -> list[str]:
    """The table, and below it what was done to rows that gave a trace."""
    ledger = checked.ledger
    table = [("", "setting", "traces", "of all", "the first")]
    table += [
        (reason, "", f"{count:,}", _share(count, ledger.read), ledger.named[reason][0])
        for reason, count in ledger.lost.items()
    ]
    for candidate in FILTERS:
        setting, active = _setting(candidate, filters)
        count = checked.dropped[candidate.key]
        table.append(
            (
                candidate.reason,
                f"{candidate.key}={setting}" if active else f"off, would drop at {candidate.key}={setting}",
                f"{count:,}",
                _share(count, ledger.read),
                checked.first.get(candidate.key, ""),
            )
        )
    table.append(("kept", "by all that are on", f"{checked.kept:,}", _share(checked.kept, ledger.read), ""))
    widths = [max(len(row[column]) for row in table) for column in range(4)]
    shown = [f"{ledger.read:,} rows read"]
    shown += [
        f"{name:<{widths[0]}}  {setting:<{widths[1]}}  {count:>{widths[2]}}  {share:>{widths[3]}}  "
        f"{_short(first)}".rstrip()
        for name, setting, count, share, first in table
    ]
    shown += [f"{what}: {count:,} rows" for what, count in ledger.changed.items()]
    return shown + ledger.notes


def _short(text: str) -> str:
    """The text, or its beginning and how many characters are left out."""
    more = len(text) - LONGEST_EXAMPLE
    return text if more <= 0 else f"{text[:LONGEST_EXAMPLE]} … (and {more} characters more)"


def _share(count: int, total: int) -> str:
    return f"{count / total:.2%}" if total else "-"
