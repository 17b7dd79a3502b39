"""The layouts of rows: `LAYOUTS`, one reader each, the most specific first; docs/trace_formats.md shows them.

A reader takes a row with the layout's columns and returns an `Example`, or raises ValueError (the row is broken; with
the reason) or `Lost` (the row is sound, but gives no trace). It never drops text silently.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from data_prep.grading.numerals import as_text
from data_prep.traces.beside_text import Lost
from data_prep.traces.conversations import System, Turn, as_list, single_exchange, turns_of
from data_prep.traces.tags import PAIRS, Thought, join_thought, split_thought

Row = Mapping[str, Any]
GOLD_COLUMNS = ("gold", "gold_answer", "ground_truth", "expected_answer", "reference_answer", "final_answer")
LONGEST_GOLD_SOLUTION = 100


@dataclass(frozen=True)
class Example:
    """The contents of a row; `changes` names the changes made to it."""

    question: str
    thought: Thought
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """A name, the columns that identify the layout, and its reader."""

    name: str
    needs: tuple[str, ...]
    read: Callable[[Row, System], Example]


def text_of(row: Row, name: str) -> str:
    """The text in a column; ValueError if it is not text."""
    value = row.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name!r} must be text, got {type(value).__name__}")
    return value


def _texts_of(row: Row, name: str) -> list[str]:
    values = as_list(row.get(name), name)
    if not values or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{name!r} must be a non-empty list of texts")
    return values


def _plain(row: Row, system: System) -> Example:
    return Example(text_of(row, "question"), join_thought(text_of(row, "thinking"), text_of(row, "answer")))


def _from_turns(turns: Sequence[Turn], name: str, system: System) -> Example:
    exchange = single_exchange(turns, name, system)
    return Example(exchange.question, join_thought(exchange.reply.thinking, exchange.reply.text), exchange.changes)


def _messages(row: Row, system: System) -> Example:
    return _from_turns(turns_of(row["messages"], "messages"), "messages", system)


def _sharegpt(row: Row, system: System) -> Example:
    return _from_turns(turns_of(row["conversations"], "conversations"), "conversations", system)


def _prompt_completion(row: Row, system: System) -> Example:
    """Texts or lists of messages; an opening tag that ends a prompt belongs to the reply."""
    turns: list[Turn] = []
    for name, role in (("prompt", "user"), ("completion", "assistant")):
        value = row[name]
        if isinstance(value, list):
            turns += turns_of(value, name)
        else:
            text = text_of(row, name)
            turns.append(Turn(role, _without_open_tag(text) if role == "user" else text))
    return _from_turns(turns, "prompt + completion", system)


def _without_open_tag(prompt: str) -> str:
    for pair in PAIRS:
        if prompt.rstrip().endswith(pair.open):
            return prompt.rstrip().removesuffix(pair.open).rstrip()
    return prompt


def _s1k(row: Row, system: System) -> Example:
    trajectories = _texts_of(row, "thinking_trajectories")
    changes = ("trajectories after the first left out",) if len(trajectories) > 1 else ()
    return Example(text_of(row, "question"), join_thought(trajectories[0], text_of(row, "attempt")), changes)


def _s1k_1_1(row: Row, system: System) -> Example:
    thought = join_thought(text_of(row, "deepseek_thinking_trajectory"), text_of(row, "deepseek_attempt"))
    return Example(text_of(row, "question"), thought)


def _openr1_math(row: Row, system: System) -> Example:
    """The first generation that a verifier accepted: math-verify, else the language model if it was used."""
    generations = _texts_of(row, "generations")
    for verifier in ("correctness_math_verify", "correctness_llama"):
        if row.get(verifier) is not None:
            verdicts = as_list(row[verifier], verifier)
            if len(verdicts) != len(generations):
                raise ValueError(f"{verifier!r} has {len(verdicts)} verdicts for {len(generations)} generations")
            right = next((text for text, verdict in zip(generations, verdicts, strict=True) if verdict is True), None)
            if right is not None:
                changes = ("generations beside the first right one left out",) if len(generations) > 1 else ()
                return Example(text_of(row, "problem"), split_thought(right), changes)
    raise Lost("no right generation", f"none of {len(generations)} was found right")


def _alpaca(row: Row, system: System) -> Example:
    if row.get("history"):
        raise Lost("several turns", "'history' is not empty")
    parts = [text_of(row, "instruction")]
    if row.get("input") is not None:
        parts.append(text_of(row, "input"))
    return Example("\n\n".join(text for text in parts if text.strip()), split_thought(text_of(row, "output")))


def _s1_text(row: Row, system: System) -> Example:
    """The chat template of Qwen2.5 with s1's marks: system (or none), user, assistant."""
    head, start, reply = text_of(row, "text").partition("<|im_start|>assistant\n")
    before, *chunks = head.split("<|im_start|>")
    if not start or before.strip() or not chunks:
        raise ValueError(
            "'text' must be rendered as <|im_start|>user … <|im_end|> <|im_start|>assistant …, got "
            f"{text_of(row, 'text')[:40]!r}"
        )
    turns = []
    for chunk in chunks:
        role, _, body = chunk.partition("\n")
        said, end, after = body.partition("<|im_end|>")
        if not end or after.strip():
            raise ValueError(f"the {role[:20]!r} turn of 'text' does not end with <|im_end|>")
        turns.append(Turn(role, said))
    said, _, after = reply.partition("<|im_end|>")
    if after.strip():
        raise Lost("several turns", f"after the first reply: {after.strip()[:30]!r}")
    return _from_turns([*turns, Turn("assistant", said)], "text", system)


LAYOUTS: tuple[Layout, ...] = (
    Layout("openr1_math", ("problem", "generations"), _openr1_math),
    Layout("s1k_1_1", ("question", "deepseek_thinking_trajectory", "deepseek_attempt"), _s1k_1_1),
    Layout("s1k", ("question", "thinking_trajectories", "attempt"), _s1k),
    Layout("messages", ("messages",), _messages),
    Layout("sharegpt", ("conversations",), _sharegpt),
    Layout("prompt_completion", ("prompt", "completion"), _prompt_completion),
    Layout("plain", ("question", "thinking", "answer"), _plain),
    Layout("alpaca", ("instruction", "output"), _alpaca),
    Layout("s1_text", ("text",), _s1_text),
)


def gold_of(row: Row, layout: Layout) -> str | None:
    """The right answer of a row as text, if a column has it.

    The first of: one of GOLD_COLUMNS; `answer`, in a layout that does not keep the reply there; `solution`, if it is
    one line of at most 100 characters or has a \\boxed answer (else it is prose, with which no answer can be compared).
    """
    for name in (*GOLD_COLUMNS, "answer", "solution"):
        gold = None if name in layout.needs else _scalar(row.get(name))
        if gold and (
            name != "solution" or "\\boxed" in gold or (len(gold) <= LONGEST_GOLD_SOLUTION and "\n" not in gold)
        ):
            return gold
    return None


def _scalar(value: Any) -> str | None:
    """Text, or a number as text; the elements of a list joined by commas, as one answer in parts. Else None."""
    if isinstance(value, list):
        parts = [None if isinstance(part, list) else _scalar(part) for part in value]
        return ", ".join(map(str, parts)) if all(parts) else None
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    if isinstance(value, float | Decimal) and not math.isfinite(value):
        return None
    return value.strip() if isinstance(value, str) else as_text(value)
