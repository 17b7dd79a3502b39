"""Traces: how one is named, and what can be seen of a text."""

from __future__ import annotations

import pytest

from data_prep.trace import Trace, visible


@pytest.mark.parametrize(
    ("identity", "source", "where"), [("7", "a.jsonl", "a.jsonl 7"), ("a.jsonl:3", "a.jsonl", "a.jsonl:3")]
)
def test_a_trace_is_named_by_source_and_id_once(identity: str, source: str, where: str) -> None:
    assert Trace(identity, "q", "t", "a", source).where == where


@pytest.mark.parametrize(
    ("text", "seen"), [("\ufeff\u200b a b\u00a0\n", "a b"), ("\x00\u2060", ""), ("a\u200bb", "a\u200bb"), ("", "")]
)
def test_what_takes_no_room_at_the_ends_goes(text: str, seen: str) -> None:
    assert visible(text) == seen
