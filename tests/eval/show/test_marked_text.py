"""Marks of budgets in the text of a thought."""

from __future__ import annotations

import pytest

from eval.show.marked_text import Part, cuts_of, marked, shortened

NAMES = {0: "off", 8: "8", 16: "16", 32: "32"}


def a_row(*answers: tuple[list[int], int, int | None], stop: str = "close") -> dict[str, object]:
    """A row of a samples file; answers: budgets, tokens and characters before each."""
    kept = [
        {"budgets": budgets, "thinking_tokens": tokens, **({} if place is None else {"thinking_characters": place})}
        for budgets, tokens, place in answers
    ]
    return {"stop": stop, "answers": kept}


def test_of_a_long_text_the_middle_is_left_out_and_counted() -> None:
    assert shortened("abc" * 100, 9) == "abcabc [… 291 characters left out …] abc"
    assert shortened("abc", 3) == "abc"


def test_a_text_is_divided_at_its_cuts() -> None:
    assert marked("abcdef", {2: "8", 6: "16"}, 100) == (Part("ab", "8"), Part("cdef", "16"))
    assert marked("abcdef", {0: "8"}, 100) == (Part("", "8"), Part("abcdef"))
    assert marked("", {}, 100) == ()


def test_a_cut_in_what_is_left_out_is_shown_between_two_counts() -> None:
    assert marked("abc" * 100, {3: "8", 106: "16", 299: "32"}, 9) == (
        Part("abc", "8"),
        Part("abc [… 100 characters left out …] ", "16"),
        Part(" [… 191 characters left out …] ab", "32"),
        Part("c"),
    )


def test_cuts_are_placed_before_control_characters_are_written_out() -> None:
    assert marked("\x1b\u202eab", {2: "8", 3: "16"}, 9) == (Part("\\x1b\\u202e", "8"), Part("a", "16"), Part("b"))


def test_a_place_beyond_the_text_is_no_cut() -> None:
    assert marked("ab", {-1: "8", 3: "16"}, 9) == (Part("ab"),)


@pytest.mark.parametrize(
    ("row", "cuts"),
    [
        # it terminated after 11 tokens: only the first budget truncates it
        (a_row(([8], 8, 30), ([16, 32], 11, 44)), {30: "8"}),
        # it terminated exactly at a budget, which leaves nothing out
        (a_row(([8], 8, 30), ([16, 32], 8, 30)), {}),
        # the largest budget stopped it
        (a_row(([8], 8, 30), ([16], 16, 60), stop="budget"), {30: "8", 60: "16"}),
        # the answer with thinking off is not one of the thought
        (a_row(([0], 0, 0), ([8], 8, 30), ([16], 16, 60), stop="budget"), {30: "8", 60: "16"}),
        # two budgets at one place: a beginning close mark was taken off the second
        (a_row(([8], 8, 30), ([16], 8, 30), ([32], 20, 80), stop="loop"), {30: "8, 16"}),
        # a file of an earlier version
        (a_row(([8], 8, None), ([16], 16, None)), None),
        # a thought that failed
        ({"stop": "budget", "answers": []}, {}),
    ],
)
def test_which_budgets_truncate_a_thought(row: dict[str, object], cuts: dict[int, str] | None) -> None:
    assert cuts_of(row, NAMES) == cuts
