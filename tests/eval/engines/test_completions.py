"""Thoughts driven through completions: each goes on by itself, no more than fit are under way, nothing stays behind."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from eval.engines.completions import Call, Completion, CompletionEngine, Failure
from eval.protocol import Protocol
from eval.types import Missing, Request, Thought
from tests.eval.scripted import FORMAT, OPEN, drive, make_protocol, stands_at_the_end, summing

PROTOCOL = make_protocol([2, 5, 9], answer_tokens=2)
REQUESTS = [Request(f"p{i}", 0, (20 + i, OPEN)) for i in range(6)]


class InHand:
    """A completer on `summing`; `pick` says which of the calls in hand (key -> call) is done next."""

    def __init__(self, width: int, pick: Callable[[dict[int, Call]], int]) -> None:
        self.width, self.pick = width, pick
        self.calls: dict[int, Call] = {}
        self.most, self.single_tokens, self.closed = 0, 0, False

    def start(self, key: int, call: Call) -> None:
        assert key not in self.calls
        self.calls[key] = call
        self.most = max(self.most, len(self.calls))
        self.single_tokens += call.max_tokens == 1 and bool(call.banned_ids)

    def finished(self) -> tuple[int, Completion | Failure]:
        key = self.pick(self.calls)
        return key, complete(self.calls.pop(key))

    def close(self) -> None:
        self.closed = True


def complete(call: Call) -> Completion:
    ids: list[int] = []
    while len(ids) < call.max_tokens and not any(stands_at_the_end(ids, end) for end in call.ends):
        ids.append(summing((*call.prompt_ids, *ids), frozenset(call.banned_ids), 0.0))
    return Completion(tuple(ids))


def first(calls: dict[int, Call]) -> int:
    return min(calls)


def last(calls: dict[int, Call]) -> int:
    return max(calls)


@pytest.mark.parametrize("pick", [first, last])
@pytest.mark.parametrize("width", [1, 2, 6, 50])
@pytest.mark.parametrize(
    "protocol", [PROTOCOL, make_protocol([9], extend_to=6, max_extensions=2)], ids=["budgets", "extended"]
)
def test_thoughts_are_those_of_single_steps_whatever_comes_first(
    protocol: Protocol, width: int, pick: Callable[[dict[int, Call]], int]
) -> None:
    thoughts = list(CompletionEngine(InHand(width, pick), protocol).think(REQUESTS))
    assert sorted(thoughts, key=lambda t: t.problem) == [drive(summing, protocol, request) for request in REQUESTS]


TEXT_MARKS = dataclasses.replace(
    FORMAT,
    close_mark=((20, 30), (31, 32, 33)),
    banned_ids=(),
    banned_marks=tuple(((first,), (second,)) for first in range(20, 39) for second in range(20, 39, 3)),
)
"""so many marks that `summing` completes one in most answers"""


def test_marks_of_plain_text_are_banned_by_calls_of_one_token() -> None:
    protocol = make_protocol([2, 5, 9], TEXT_MARKS, answer_tokens=6)
    completer = InHand(3, first)
    thoughts = list(CompletionEngine(completer, protocol).think(REQUESTS))
    assert sorted(thoughts, key=lambda t: t.problem) == [drive(summing, protocol, request) for request in REQUESTS]
    assert completer.single_tokens > 5


def test_a_whole_thought_is_given_while_others_are_under_way() -> None:
    completer = InHand(3, last)
    thought = next(CompletionEngine(completer, PROTOCOL).think(REQUESTS))
    assert thought == drive(summing, PROTOCOL, REQUESTS[2])
    assert sorted(completer.calls) == [0, 1]


def test_as_many_thoughts_are_under_way_as_fit_and_never_more() -> None:
    completer = InHand(4, first)
    list(CompletionEngine(completer, PROTOCOL).think(REQUESTS))
    assert completer.most == 4


def test_nothing_is_closed_between_the_suites_of_a_sweep() -> None:
    completer = InHand(4, first)
    list(CompletionEngine(completer, PROTOCOL).think(REQUESTS))
    assert not completer.closed


def test_a_caller_that_has_seen_enough_closes_the_completer() -> None:
    completer = InHand(4, first)
    thoughts = CompletionEngine(completer, PROTOCOL).think(REQUESTS)
    next(thoughts)
    thoughts.close()  # type: ignore[attr-defined]
    assert completer.closed


def test_an_interrupt_closes_the_completer() -> None:
    def interrupt(calls: dict[int, Call]) -> int:
        raise KeyboardInterrupt

    completer = InHand(4, interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(CompletionEngine(completer, PROTOCOL).think(REQUESTS))
    assert completer.closed


def test_a_failed_call_loses_its_own_thought_alone() -> None:
    class Failing(InHand):
        def finished(self) -> tuple[int, Completion | Failure]:
            key, completion = super().finished()
            return key, Failure("lost") if key == 3 else completion

    found = {one.problem: one for one in CompletionEngine(Failing(2, first), PROTOCOL).think(REQUESTS)}
    assert found.pop("p3") == Missing("p3", 0, "lost")
    assert len(found) == 5 and all(isinstance(one, Thought) for one in found.values())
