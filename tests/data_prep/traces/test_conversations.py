"""One exchange out of a list of turns, by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from data_prep.traces.beside_text import Lost
from data_prep.traces.conversations import TEMPLATE_DEFAULT, Turn, single_exchange, turns_of, with_system
from tests.data_prep.row_reading import chat, lost, read

QUESTION, REPLY = Turn("user", "q"), Turn("assistant", "a")


def test_the_names_that_data_sets_give_to_roles_are_ours() -> None:
    messages = [{"from": "human", "value": "q"}, {"role": "GPT", "content": "a"}, {"role": "critic", "content": "x"}]
    assert [turn.role for turn in turns_of(messages, "m")] == ["user", "assistant", "critic"]


def test_a_thought_beside_the_text_is_kept_and_a_blank_one_gives_way() -> None:
    (turn,) = turns_of([{"role": "assistant", "content": "a", "thinking": " ", "reasoning": "t"}], "m")
    assert turn == Turn("assistant", "a", "t")


@pytest.mark.parametrize("roles", [["user"], ["assistant"], []])
def test_without_an_exchange_the_row_is_broken(roles: list[str]) -> None:
    with pytest.raises(ValueError, match="'m' must be one user and one assistant message"):
        single_exchange([Turn(role, "x") for role in roles], "m", "join")


def test_a_system_turn_after_the_question_is_a_conversation_of_several_turns() -> None:
    with pytest.raises(Lost, match="roles"):
        single_exchange([QUESTION, Turn("system", "s"), REPLY], "m", "join")


def test_several_system_turns_are_joined_in_order() -> None:
    exchange = single_exchange([Turn("system", " s "), Turn("system", "t"), QUESTION, REPLY], "m", "join")
    assert (exchange.question, exchange.reply) == ("s\n\nt\n\nq", REPLY)


def test_the_templates_own_system_message_goes_whatever_is_done_with_others() -> None:
    changes = ("the template's own system message left out",)
    assert [with_system("q", [TEMPLATE_DEFAULT], how) for how in ("join", "drop", "refuse")] == [("q", changes)] * 3


@pytest.mark.parametrize(
    "row",
    [
        chat(("user", "q"), ("assistant", "a"), ("user", "r"), ("assistant", "b")),
        chat(("assistant", "hello"), ("user", "q"), ("assistant", "a")),
        chat(("user", "q"), ("critic", "x"), ("assistant", "a")),
        {"instruction": "i", "output": "o", "history": [["a", "b"]]},
        {"text": "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\na<|im_end|>\n<|im_start|>user\nr<|im_end|>\n"},
    ],
)
def test_a_conversation_of_several_turns_is_lost_whole(row: Any) -> None:
    assert lost(row)[0] == "several turns"


def test_content_in_parts_is_joined() -> None:
    row = chat(("user", "q"), ("assistant", ""), content=[{"type": "text", "text": "t</think>"}, {"text": "a"}])
    assert (read(row).thinking, read(row).answer) == ("t", "a")


def test_lists_may_be_json_text_as_in_a_csv_cell() -> None:
    assert read({"messages": json.dumps(chat(("user", "q"), ("assistant", "t</think>a"))["messages"])}).thinking == "t"
