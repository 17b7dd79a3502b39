"""Types of an evaluation: what JSON makes of a thought, and the longer of two prompts."""

from __future__ import annotations

import json

import pytest

from eval.types import Answer, Request, Thought


def test_a_thought_comes_back_from_json_as_it_was() -> None:
    answers = (Answer((0,), 0, (5,), True), Answer((8, 16), 2, (), False))
    thought = Thought("p", 1, (20, 21), "close", 2, answers)
    assert Thought.of_row(json.loads(json.dumps(thought.row()))) == thought


@pytest.mark.parametrize(("off_ids", "tokens"), [((), 3), ((1,), 3), ((1, 2, 3, 4), 4)])
def test_the_longest_prompt_is_the_longer_of_the_two(off_ids: tuple[int, ...], tokens: int) -> None:
    assert Request("p", 0, (1, 2, 3), off_ids).longest_prompt_tokens == tokens
