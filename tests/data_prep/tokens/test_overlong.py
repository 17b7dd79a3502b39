"""Over-long traces: whole steps go from the middle of the thinking, and only as many as must."""

from __future__ import annotations

import pytest

from data_prep.tokens.overlong import shorten
from data_prep.trace import Trace


def shortened(thinking: str, most_characters: int) -> str | None:
    """The thinking that is left where a thinking fits that has at most so many characters."""
    trace = shorten(Trace("t", "q", thinking, "a", "f"), lambda t: len(t.thinking) <= most_characters)
    return None if trace is None else trace.thinking


PARAGRAPHS = "".join(f"step {i}\n\n" for i in range(9)) + "so it is"  # 9 x 8 characters, then 8


@pytest.mark.parametrize(
    ("room", "kept"),
    [(79, [0, 1, 2, 3, 4, 6, 7, 8]), (72, [0, 1, 2, 3, 4, 6, 7, 8]), (71, [0, 1, 2, 3, 6, 7, 8]), (16, [0])],
)
def test_as_few_paragraphs_go_as_must(room: int, kept: list[int]) -> None:
    assert shortened(PARAGRAPHS, room) == "".join(f"step {i}\n\n" for i in kept) + "so it is"


def test_lines_where_there_are_no_paragraphs() -> None:
    assert shortened("one\ntwo\nthree\nfour", 12) == "one\ntwo\nfour"


def test_lines_where_the_first_and_the_last_paragraph_are_too_much() -> None:
    assert shortened("a\nb\nc\n\nd\ne\nf", 8) == "a\nb\ne\nf"


def test_sentences_where_there_is_one_line() -> None:
    assert shortened("One is. Two was? Three! Four.", 22) == "One is. Two was? Four."


def test_nothing_is_left_where_no_two_steps_fit() -> None:
    assert shortened("one very long sentence without an end " * 9, 50) is None


def test_a_trace_is_asked_about_a_logarithm_of_its_steps() -> None:
    asked = []
    shorten(Trace("t", "q", "x\n\n" * 1000, "a", "f"), lambda t: asked.append(t) or len(t.thinking) < 1000)  # type: ignore[func-returns-value]
    assert len(asked) <= 12


def test_question_answer_and_name_stay() -> None:
    trace = shorten(Trace("t", "q", PARAGRAPHS, "a", "f"), lambda t: len(t.thinking) < 30)
    assert trace is not None and (trace.id, trace.question, trace.answer, trace.source) == ("t", "q", "a", "f")
