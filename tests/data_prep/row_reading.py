"""Reading one row as the reader of rows does: its trace, its fault, or why a sound row gives no trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_prep.ledger import Ledger
from data_prep.trace import Trace
from data_prep.traces.beside_text import Lost
from data_prep.traces.row_reader import RowReader
from recipes.traces import FileTraces

PLAIN = {"question": "q", "thinking": "t", "answer": "a"}


def read(row: Any, ledger: Ledger | None = None, **section: Any) -> Trace:
    reader = RowReader(FileTraces(source="file", path=Path("f"), **section), ledger or Ledger(), "data.traces")
    return reader.trace("f:1", row)


def fault(row: Any, **section: Any) -> str:
    with pytest.raises(ValueError) as caught:
        read(row, **section)
    return str(caught.value)


def lost(row: Any, **section: Any) -> tuple[str, str]:
    with pytest.raises(Lost) as caught:
        read(row, **section)
    return caught.value.reason, str(caught.value)


def chat(*turns: tuple[str, str], **assistant: Any) -> dict[str, Any]:
    messages = [{"role": role, "content": content} for role, content in turns]
    messages[-1].update(assistant)
    return {"messages": messages}
