"""Rows that hold more than text are lost under the name of what they hold; empty keys of that name are no matter."""

from __future__ import annotations

from typing import Any

import pytest

from tests.data_prep.row_reading import PLAIN, chat, lost, read

CALL = {"type": "function", "function": {"name": "weather", "arguments": {"town": "Lund"}}}
PAIR = (("user", "q"), ("assistant", "<think>t</think>a"))


def sharegpt(*turns: tuple[str, str]) -> dict[str, Any]:
    return {"conversations": [{"from": role, "value": text} for role, text in turns]}


@pytest.mark.parametrize(
    "row",
    [
        chat(*PAIR, tool_calls=[CALL]),
        chat(*PAIR, tool_calls='[{"name": "weather"}]'),
        chat(*PAIR, content=None, tool_calls=[CALL]),
        chat(*PAIR, function_call={"name": "weather", "arguments": "{}"}),
        chat(*PAIR, tool_call_id="c1"),
        chat(("user", "q"), ("tool", "12 degrees"), ("assistant", "a")),
        chat(*PAIR, content=[{"type": "text", "text": "I look."}, {"type": "tool_use", "name": "weather"}]),
        sharegpt(("human", "q"), ("function_call", "{}"), ("observation", "12"), ("gpt", "a")),
        sharegpt(("human", "q"), ("function_call", "{}")),
        {"prompt": chat(PAIR[0])["messages"], "completion": chat(PAIR[1], tool_calls=[CALL])["messages"]},
        {**PLAIN, "tool_calls": [CALL]},
    ],
)
def test_a_row_that_calls_a_tool_is_lost_as_such(row: Any) -> None:
    assert lost(row)[0] == "tool calls"


@pytest.mark.parametrize("tools", [[CALL], '[{"name": "weather"}]'])
def test_a_row_that_offers_tools_is_lost_as_such(tools: Any) -> None:
    assert lost({**chat(*PAIR), "tools": tools})[0] == "tools offered"


@pytest.mark.parametrize("row", [{**PLAIN, "image": b"\x89PNG"}, chat(*PAIR, audio={"id": "x"})])
def test_a_row_with_a_picture_or_sound_is_lost_as_such(row: Any) -> None:
    assert lost(row)[0] == "pictures or sound"


def test_a_turn_with_the_name_of_its_speaker_is_lost_as_such() -> None:
    assert lost(chat(*PAIR, name="Ann")) == ("named speaker", "messages[1].name holds 'Ann'")


@pytest.mark.parametrize("empty", [None, "", [], {}, "[]", [None], {"name": None, "arguments": ""}])
def test_empty_keys_of_such_names_lose_nothing(empty: Any) -> None:
    row = {**chat(*PAIR, tool_calls=empty, function_call=empty, name=empty), "tools": empty, "images": empty}
    assert (read(row).thinking, read(row).answer) == ("t", "a")


def test_a_row_may_have_a_column_called_name() -> None:
    assert read({**PLAIN, "name": "problem 7"}).answer == "a"
