"""Rows to traces: `RowReader` detects each row's layout by its columns, or uses the named layout for all."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from data_prep.ledger import Ledger
from data_prep.trace import Trace, visible
from data_prep.traces.beside_text import refuse_beside_row
from data_prep.traces.conversations import with_system
from data_prep.traces.layouts import LAYOUTS, Layout, gold_of, text_of
from recipes.errors import UserError
from recipes.traces import FileTraces, HubTraces, JsonlTraces

BY_NAME = {layout.name: layout for layout in LAYOUTS}
ID_COLUMNS = ("id", "uuid")
OPTIONAL = {"id", "gold", "input"}
EXACT_FLOATS = 2**53
"""from here on, floats cannot represent every integer"""
MOST_NEAR = 3
MOST_REMEMBERED = 1000


class RowReader:
    """Reads the rows of one source; the ledger notes changes to a row, and which of several layouts was used."""

    def __init__(self, section: FileTraces | JsonlTraces | HubTraces, ledger: Ledger, key: str) -> None:
        self.section, self.ledger, self.key = section, ledger, key
        self._allowed = _allowed(section, key)
        self._columns = {str(our): their for our, their in section.columns.items()}
        self._fitting: dict[tuple[str, ...], tuple[Layout, ...]] = {}

    def trace(self, where: str, row: Any) -> Trace:
        """The trace of one row. ValueError says what is wrong with the row, Lost why a sound row gives no trace."""
        if isinstance(row, ValueError):
            raise row
        if not isinstance(row, Mapping):
            raise ValueError(
                f"a row must be an object, got {type(row).__name__}"
                + ("; a list of rows belongs in a .json file" if isinstance(row, list) else "")
            )
        row = self._renamed(row)
        refuse_beside_row(row)
        layout = self._layout(row)
        example = layout.read(row, self.section.system)
        system = [] if row.get("system") is None else [text_of(row, "system")]
        question, changes = with_system(example.question, system, self.section.system)
        trace = Trace(
            id=_id_of(row, where),
            question=question,
            thinking=example.thought.thinking,
            answer=example.thought.answer,
            source=where.rsplit(":", 1)[0],
            gold=gold_of(row, layout),
            thought=example.thought.state,
        )
        _check(trace)
        for change in (*example.changes, *changes):
            self.ledger.change(change)
        return trace

    def _renamed(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """The row with the columns that the recipe names under our names."""
        theirs = self._columns
        if not theirs:
            return row
        for our in OPTIONAL & set(theirs):
            if theirs[our] not in row:
                raise ValueError(f"there is no column {theirs[our]!r} ({self.key}.columns.{our})")
        moved = {our: row[their] for our, their in theirs.items() if their in row}
        others = {name: value for name, value in row.items() if name not in moved and name not in theirs.values()}
        return {**others, **moved}

    def _layout(self, row: Mapping[str, Any]) -> Layout:
        """The layout of a row; of several, the first whose columns are all filled."""
        names = tuple(row)
        if names not in self._fitting:
            if len(self._fitting) >= MOST_REMEMBERED:
                self._fitting.clear()
            self._fitting[names] = _fitting(names, self._allowed)
        fitting = self._fitting[names]
        if len(fitting) == 1:
            return fitting[0]
        filled = [layout for layout in fitting if all(row[name] is not None for name in layout.needs)] or fitting
        self.ledger.note(
            f"{self.key}: rows that fit the layouts {', '.join(layout.name for layout in fitting)} are "
            f"read as {filled[0].name}, the most specific one whose columns are filled; "
            f"set {self.key}.format to use another"
        )
        return filled[0]


def _allowed(section: FileTraces | JsonlTraces | HubTraces, key: str) -> tuple[Layout, ...]:
    """The possible layouts: the named one or all, if they use every column that the recipe renames."""
    renamed = set(section.columns) - OPTIONAL
    candidates = LAYOUTS if section.format == "auto" else (BY_NAME[section.format],)
    allowed = tuple(layout for layout in candidates if renamed <= set(layout.needs))
    if not allowed:
        names = ", ".join(repr(name) for name in section.columns if name in renamed)
        said = (
            f"no layout uses {names} together"
            if section.format == "auto"
            else f"the layout {section.format} does not use {names}"
        )
        raise UserError(f"{key}.columns: {said}; docs/trace_formats.md lists the columns of each")
    return allowed


def _fitting(names: tuple[str, ...], allowed: tuple[Layout, ...]) -> tuple[Layout, ...]:
    """The layouts whose columns are among the names; if there is none, ValueError names the nearest."""
    fitting = tuple(layout for layout in allowed if set(layout.needs) <= set(names))
    if fitting:
        return fitting
    near = sorted(allowed, key=lambda candidate: _distance(candidate, names))[:MOST_NEAR]
    lacks = "; ".join(
        f"{candidate.name} lacks {', '.join(repr(name) for name in candidate.needs if name not in names)}"
        for candidate in near
    )
    shown = ", ".join(repr(str(name)[:40]) for name in names[:20]) or "none"
    raise ValueError(f"no layout has these columns: {shown}; nearest: {lacks}; map them with data.traces.columns")


def _distance(layout: Layout, names: tuple[str, ...]) -> tuple[float, int]:
    """How far a row with these columns is from a layout: the share of columns that are missing, then how many."""
    missing = len(set(layout.needs) - set(names))
    return missing / len(layout.needs), missing


def _id_of(row: Mapping[str, Any], where: str) -> str:
    for name in ID_COLUMNS:
        value: Any = row.get(name)
        if value is None or value == "" or value != value:  # NaN: a gap among whole numbers read as floats
            continue
        if isinstance(value, float | Decimal) and abs(float(value)) < EXACT_FLOATS and value == int(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ValueError(f"{name!r} must be text or a whole number, got {type(value).__name__}")
        return str(value)
    return where


def _check(trace: Trace) -> None:
    """ValueError for a trace without a question, or with text that cannot be written as UTF-8."""
    if not visible(trace.question):
        raise ValueError("'question' is empty")
    for name in ("id", "question", "thinking", "answer", "gold"):
        text = getattr(trace, name) or ""
        try:
            text.isascii() or text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"the {name} holds half a character at {error.start} ({text[error.start]!r})") from None
