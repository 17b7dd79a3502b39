"""Reading one exchange from a list of turns: messages, ShareGPT conversations, prompt and completion.

A trace is one question and one reply. So a row must have one user turn and one assistant turn, possibly after system
turns. A longer conversation is lost as a whole, under the reason `several turns`: its later questions have no meaning
by themselves, and its earlier replies lack the thoughts that led to them. `data.traces.system` decides about system
turns. A row is also lost if a turn contains more than text (tool calls, pictures; `beside_text`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from data_prep.traces.beside_text import Lost, refuse_beside_turn

ROLES = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "system": "system",
    "developer": "system",
}
THOUGHT_KEYS = ("reasoning_content", "thinking", "reasoning")
TEMPLATE_DEFAULT = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
System = Literal["join", "drop", "refuse"]


@dataclass(frozen=True)
class Turn:
    """The text of one side; `thinking` if the turn has a separate key for it."""

    role: str
    text: str
    thinking: str | None = None


@dataclass(frozen=True)
class Exchange:
    """A question and its reply; `changes` names the changes made to the row."""

    question: str
    reply: Turn
    changes: tuple[str, ...] = ()


def as_list(value: Any, name: str) -> list[Any]:
    """A list, or a list parsed from JSON text (a CSV cell); ValueError otherwise."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError(f"{name!r} must be a list, got text that is not a JSON list") from None
    if not isinstance(value, list):
        raise ValueError(f"{name!r} must be a list, got {type(value).__name__}")
    return value


def turns_of(value: Any, name: str) -> list[Turn]:
    """The turns of a list of {role, content} or {from, value} objects; ValueError names what is wrong, Lost what a
    turn has that a trace cannot represent."""
    messages = as_list(value, name)
    if not all(isinstance(message, Mapping) for message in messages):
        raise ValueError(f"{name!r} must be a list of {{role, content}} objects")
    for number, message in enumerate(messages):
        refuse_beside_turn(message, f"{name}[{number}]")
    return [_turn(message, f"{name}[{number}]") for number, message in enumerate(messages)]


def _turn(message: Mapping[str, Any], name: str) -> Turn:
    role_key, text_key = ("from", "value") if "from" in message and "role" not in message else ("role", "content")
    role = message.get(role_key)
    our_role = ROLES.get(role.lower()) if isinstance(role, str) else None
    thoughts = [message[key] for key in THOUGHT_KEYS if message.get(key) is not None]
    if not all(isinstance(thought, str) for thought in thoughts):
        raise ValueError(f"the thought of {name!r} must be text")
    if len({thought for thought in thoughts if thought.strip()}) > 1:
        raise ValueError(f"{name!r} holds two different thoughts ({', '.join(THOUGHT_KEYS)})")
    thinking = max(thoughts, key=lambda thought: bool(thought.strip()), default=None)
    return Turn(our_role or str(role), _text(message.get(text_key), f"{name}.{text_key}"), thinking)


def _text(value: Any, name: str) -> str:
    """The text of a turn: text, or a list of {type: text, text} parts joined."""
    if isinstance(value, list):
        parts = [
            part.get("text") if isinstance(part, Mapping) and part.get("type", "text") == "text" else None
            for part in value
        ]
        if all(isinstance(part, str) for part in parts):
            return "".join(str(part) for part in parts)
        raise ValueError(f"{name!r} must be text or a list of text parts; other parts cannot be trained")
    if not isinstance(value, str):
        raise ValueError(f"{name!r} must be text, got {type(value).__name__}")
    return value


def single_exchange(turns: Sequence[Turn], name: str, system: System) -> Exchange:
    """The one exchange in the turns; Lost if there are several, ValueError if there is none."""
    first = next((number for number, turn in enumerate(turns) if turn.role != "system"), len(turns))
    roles = [turn.role for turn in turns[first:]]
    if roles != ["user", "assistant"]:
        shown = f"{roles[:8]}{' …' if len(roles) > 8 else ''}"
        if "user" in roles and "assistant" in roles:
            raise Lost("several turns", f"roles {shown}")
        raise ValueError(f"{name!r} must be one user and one assistant message, got roles {shown}")
    question, changes = with_system(turns[first].text, [turn.text for turn in turns[:first]], system)
    return Exchange(question, turns[first + 1], changes)


def with_system(question: str, texts: Sequence[str], system: System) -> tuple[str, tuple[str, ...]]:
    """The question with the system's text, and the changes made. A chat template's default system text is dropped."""
    messages = [text for text in texts if text.strip() and text.strip() != TEMPLATE_DEFAULT]
    defaults = any(text.strip() == TEMPLATE_DEFAULT for text in texts)
    dropped = ("the template's own system message left out",) if defaults else ()
    if not messages:
        return question, dropped
    if system == "refuse":
        raise Lost("system message", messages[0].strip()[:60])
    if system == "drop":
        return question, (*dropped, "system message left out")
    return "\n\n".join([*(text.strip() for text in messages), question]), (
        *dropped,
        "system message joined to the question",
    )
