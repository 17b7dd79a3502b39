"""Marks as token sequences, of one token and of plain text, worked out by hand."""

from __future__ import annotations

import pytest

from data_prep.tokens.marks import begun, completing, ends_with, exactly, holds, mark_of, own_ids
from data_prep.tokens.prompts import encode
from tests.data_prep.tokenizers import CLOSE, DOT_END, END, IN, SHUT_LINES, TH, qwen_like, text_mark_tokenizer

A, B, C, D = 1, 2, 3, 4
MARK = ((A, D), (B,), (C,))
TEXT = text_mark_tokenizer()


@pytest.mark.parametrize(
    ("ids", "whole", "size"),
    [
        ([], False, 0),
        ([A], False, 1),
        ([C, A, B], False, 2),
        ([A, B, C], True, 0),
        ([9, D, B, C], True, 0),
        ([A, B, A], False, 1),
        ([A, B, B], False, 0),
        ([B, C], False, 0),
    ],
)
def test_a_mark_at_the_end_and_its_beginning(ids: list[int], whole: bool, size: int) -> None:
    assert (ends_with(ids, MARK), begun(ids, MARK)) == (whole, size)


def test_what_would_complete_one_of_several_marks() -> None:
    marks = (MARK, ((A,), (B,), (D, 9)), exactly([7]))
    assert completing([A, B], marks) == (C, D, 9, 7)
    assert completing([B], marks) == (7,)


@pytest.mark.parametrize(
    ("ids", "there"), [([9, A, B, C, 9], True), ([D, B, C], True), ([A, B, 9, C], False), ([C], False)]
)
def test_a_mark_anywhere(ids: list[int], there: bool) -> None:
    assert holds(ids, MARK) is there


def test_a_mark_that_is_one_token_is_only_that() -> None:
    assert mark_of([CLOSE], qwen_like()) == ((CLOSE,),)


def test_a_mark_of_plain_text_may_be_merged_with_its_neighbours() -> None:
    mark = mark_of(encode("</think>", TEXT), TEXT)
    assert mark == ((END, DOT_END), (TH,), (IN,), (ord("k"),), (ord(">"), SHUT_LINES))
    assert own_ids(mark) == (END, TH, IN, ord("k"), ord(">"))


def test_a_mark_is_not_merged_inside_a_word() -> None:
    mark = mark_of([ord("#"), ord("i")], TEXT)  # the token `in` begins with i, but as a word
    assert mark == ((ord("#"),), (ord("i"),))
