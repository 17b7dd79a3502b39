"""Contents of a row besides text, which a trace cannot represent: tool calls, tools, pictures, names of speakers.

A trace without them would teach something else than the row: to end the turn where the row calls a tool, or to answer a
question about a picture that is missing. Such a row is therefore lost, under the name of what it contains. An empty
value (null, "", an empty list, or a record of only these, as in Parquet files) counts as absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TOOL_CALLS, TOOLS, NOT_TEXT, NAMED = "tool calls", "tools offered", "pictures or sound", "named speaker"
"""the ledger's reasons"""

_ATTACHED = dict.fromkeys(("image", "images", "video", "videos", "audio", "audios"), NOT_TEXT)
OF_TURN = {
    **dict.fromkeys(("tool_calls", "function_call", "tool_call_id", "tool_plan", "tool_responses"), TOOL_CALLS),
    **dict.fromkeys(("tools", "functions"), TOOLS),
    **_ATTACHED,
    "name": NAMED,
}
"""key of a turn -> the reason why the row is lost"""
OF_ROW = {
    **dict.fromkeys(("tool_calls", "function_call"), TOOL_CALLS),
    **dict.fromkeys(("tools", "functions"), TOOLS),
    **_ATTACHED,
}
"""column of a row -> the reason; any row may have a `name`"""
TOOL_ROLES = {
    *("tool", "tools", "function", "function_call", "function_response", "function-call", "function-response"),
    *("tool_call", "tool_calls", "tool_response", "tool_result", "observation", "ipython"),
}
"""roles of turns that call a tool or contain its result"""
TOOL_PARTS = {"tool_use", "tool_result", "tool_call", "tool_response", "function_call", "function_call_output"}
"""types of content parts that do the same"""
EMPTY_TEXTS = ("", "[]", "{}", "null", "None")


class Lost(Exception):
    """A readable row that gives no trace; `reason` is the ledger's."""

    def __init__(self, reason: str, why: str = "") -> None:
        super().__init__(why)
        self.reason = reason


def refuse_beside_row(row: Mapping[str, Any]) -> None:
    """Raises Lost if a column of the row has contents that a trace cannot represent."""
    _refuse_keys(row, OF_ROW, "")


def refuse_beside_turn(message: Mapping[str, Any], name: str) -> None:
    """Raises Lost if a turn calls a tool, has a tool's result, or anything else that a trace cannot represent."""
    for key in ("role", "from"):
        role = message.get(key)
        if isinstance(role, str) and role.lower() in TOOL_ROLES:
            raise Lost(TOOL_CALLS, f"{name} has the role {role!r}")
    _refuse_keys(message, OF_TURN, f"{name}.")
    for key in ("content", "value"):
        for part in message[key] if isinstance(message.get(key), list) else ():
            kind = part.get("type") if isinstance(part, Mapping) else None
            if kind in TOOL_PARTS:
                raise Lost(TOOL_CALLS, f"{name}.{key} has a part of type {kind!r}")


def _refuse_keys(held: Mapping[str, Any], reasons: Mapping[str, str], place: str) -> None:
    for key, reason in reasons.items():
        if key in held and _is_filled(held[key]):
            raise Lost(reason, f"{place}{key} holds {str(held[key])[:60]!r}")


def _is_filled(value: Any) -> bool:
    """Whether a value is not empty, at any depth."""
    if isinstance(value, str):
        return value.strip() not in EMPTY_TEXTS
    if isinstance(value, Mapping):
        return any(map(_is_filled, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_is_filled, value))
    return value is not None
