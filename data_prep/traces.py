"""What a model is taught (`Trace`), and its readers: JSON Lines files and Hub data sets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from data_prep.rows import hub_rows, read_jsonl
from recipes.data import HubTraces, JsonlTraces, NanoTraces
from recipes.errors import UserError
from recipes.paths import find_path

IN_CONTENT = re.compile(r"\s*<think>\n?(.*?)\n?</think>\s*(.*)", re.DOTALL)


@dataclass(frozen=True)
class Trace:
    """One worked example: question, thinking (may be empty), answer, and where it came from.

    gold: the right answer, where the source tells it. thought: `whole`; `unclosed` where the text opens a thought and
    never closes it (the answer is then empty); `absent` where nothing in the row marks a thought, not even an empty
    one.
    """

    id: str
    question: str
    thinking: str
    answer: str
    source: str
    gold: str | None = None
    thought: Literal["whole", "unclosed", "absent"] = "whole"


def read_traces(section: NanoTraces | JsonlTraces | HubTraces) -> list[Trace]:
    """All traces of a recipe's `data.traces`; UserError names the file and row of the first five faults."""
    if isinstance(section, NanoTraces):
        from data_prep.nano_world import nano_traces

        return nano_traces(dict(section.shares.items()), section.size, section.seed, section.max_operations)
    if isinstance(section, JsonlTraces):
        return parse_rows(read_jsonl(Path(find_path(str(section.path))), "data.traces.path"))
    return parse_rows(_hub_traces(section))


def _hub_traces(section: HubTraces) -> Iterator[tuple[str, Any]]:
    """The rows of a Hub data set with our names beside theirs."""
    for where, row in hub_rows(section.id, None, section.split, "data.traces.id"):
        yield where, {**row, **{ours: row[theirs] for ours, theirs in section.columns.items() if theirs in row}}


def parse_rows(rows: Iterator[tuple[str, Any]]) -> list[Trace]:
    """Traces of all rows, or one UserError with the first five faults and how many there are."""
    traces, faults = [], []
    for where, row in rows:
        try:
            traces.append(parse_trace(where, row))
        except ValueError as fault:
            faults.append(f"{where}: {fault}")
    if faults:
        more = f"\n… and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise UserError("\n".join(faults[:5]) + more)
    if not traces:
        raise UserError("data.traces: there is no trace in it; every line must hold {question, thinking, answer} "
                        "or {messages}")
    return traces


def parse_trace(where: str, row: Any) -> Trace:
    """One row to a trace; ValueError says what is wrong with it."""
    if isinstance(row, ValueError):
        raise row
    if not isinstance(row, Mapping):
        raise ValueError(f"a row must be an object, got {type(row).__name__}")
    if "messages" in row:
        question, thinking, answer = _from_messages(row["messages"])
    else:
        question, thinking, answer = (row.get(key) for key in ("question", "thinking", "answer"))
    for key, value in (("question", question), ("thinking", thinking), ("answer", answer)):
        if not isinstance(value, str):
            raise ValueError(f"{key!r} must be text, got {type(value).__name__}; "
                             "a row holds question, thinking and answer, or messages")
        if key != "thinking" and not value.strip():
            raise ValueError(f"{key!r} is empty")
    return Trace(id=str(row.get("id", where)), question=question, thinking=thinking, answer=answer,
                 source=where.rsplit(":", 1)[0])


def _from_messages(messages: Any) -> tuple[Any, Any, Any]:
    """(question, thinking, answer) of one user and one assistant message; ValueError otherwise."""
    if not isinstance(messages, list) or not all(isinstance(m, Mapping) for m in messages):
        raise ValueError("'messages' must be a list of {role, content} objects")
    roles = [m.get("role") for m in messages]
    if roles != ["user", "assistant"]:
        raise ValueError(f"'messages' must be one user and one assistant message, got roles {roles}")
    content = messages[1].get("content")
    thinking = messages[1].get("reasoning_content")
    if thinking is None:  # a data set may hold both keys, the unused one as null
        thinking = messages[1].get("thinking")
    if thinking is None and isinstance(content, str) and (match := IN_CONTENT.fullmatch(content)):
        thinking, content = match.groups()
    return messages[0].get("content"), thinking, content
