"""The state machine of budget forcing, by hand and against the protocol spelled out for one budget at a time."""

from __future__ import annotations

import dataclasses

import pytest

from eval.budget_forcing import ForcedThought
from eval.types import Answer, Request
from tests.eval.scripted import (
    CLOSE,
    CUE,
    EOS,
    FORMAT,
    LINE,
    OPEN,
    REQUEST,
    TAIL,
    WAIT_A,
    WAIT_B,
    Choose,
    drive,
    make_protocol,
)

MARK_A, MARK_B, MARK_C = 40, 41, 42
LONG_MARK = dataclasses.replace(
    FORMAT,
    close_mark=((MARK_A,), (MARK_B,), (MARK_C,)),
    forced_close_ids=(LINE, MARK_A, MARK_B, MARK_C, CUE),
    own_close_ids=(MARK_A, MARK_B, MARK_C, TAIL, CUE),
    banned_ids=(MARK_A,),
)
PROMPT = len(REQUEST.prompt_ids)


def script(thinking: list[int], answer_tokens: int = 1) -> Choose:
    """Thinks `thinking` (then 29) whatever was fed; answers 100 + the tokens between prompt and cue, then stops."""

    def choose(tokens: tuple[int, ...], banned: frozenset[int], uniform: float) -> int:
        body = tokens[PROMPT:]
        if CUE not in body:
            return thinking[len(body)] if len(body) < len(thinking) else 29
        cue = body.index(CUE)
        return 100 + cue if len(body) - cue - 1 < answer_tokens else EOS

    return choose


def answer(budgets: tuple[int, ...], thinking_tokens: int, *ids: int) -> Answer:
    return Answer(budgets, thinking_tokens, ids, True)


def test_a_long_thought_is_closed_by_force_at_every_budget() -> None:
    thought = drive(script([20, 21, 22, 23, 24]), make_protocol([1, 2, 5]))
    assert (thought.thinking_ids, thought.stop) == ((20, 21, 22, 23, 24), "budget")
    # between prompt and cue stand b thinking tokens, then the three tokens of the forced close
    assert thought.answers == (answer((1,), 1, 104), answer((2,), 2, 105), answer((5,), 5, 108))


def test_an_own_close_is_answered_once_for_all_larger_budgets() -> None:
    thought = drive(script([20, 21, 22, CLOSE]), make_protocol([2, 4, 8, 16]))
    assert (thought.thinking_ids, thought.stop) == ((20, 21, 22), "close")
    # own close: two tokens before the cue
    assert thought.answers == (answer((2,), 2, 105), answer((4, 8, 16), 3, 105))


def test_a_close_right_after_a_budget_is_forced_there_and_own_later() -> None:
    thought = drive(script([20, 21, CLOSE]), make_protocol([2, 3]))
    assert thought.stop == "close"
    assert thought.answers == (answer((2,), 2, 105), answer((3,), 2, 104))


def test_a_close_right_after_the_last_budget_counts_and_is_forced_there() -> None:
    thought = drive(script([20, 21, CLOSE]), make_protocol([2]))
    assert (thought.stop, thought.thinking_ids) == ("close", (20, 21))
    assert thought.answers == (answer((2,), 2, 105),)


@pytest.mark.parametrize("written", [[20, 21, MARK_A, MARK_B, MARK_C], [20, MARK_A, MARK_B, MARK_A, MARK_B, MARK_C]])
@pytest.mark.parametrize("over", [0, 1, 2])
def test_a_close_of_several_tokens_right_after_the_last_budget_counts(written: list[int], over: int) -> None:
    thought = drive(script(written), make_protocol([len(written) - 3 + over], LONG_MARK))
    assert (thought.stop, list(thought.thinking_ids)) == ("close", written[:-3])


@pytest.mark.parametrize("following", [[22], [MARK_A, 22], [MARK_A, MARK_B, 22], [MARK_A, EOS], [MARK_A, MARK_A, 22]])
def test_what_only_begins_like_a_close_after_the_last_budget_is_no_part_of_the_thought(following: list[int]) -> None:
    thought = drive(script([20, 21, *following]), make_protocol([2], LONG_MARK))
    assert (thought.stop, thought.thinking_ids) == ("budget", (20, 21))
    assert thought.answers == (answer((2,), 2, 106),)


def test_a_close_after_the_last_budget_that_would_be_extended_does_not_count() -> None:
    thought = drive(script([20, 21, CLOSE]), make_protocol([2], extend_to=3, max_extensions=1))
    assert (thought.stop, thought.thinking_ids, thought.extensions) == ("budget", (20, 21), 0)


def test_an_immediate_close_gives_an_empty_thought() -> None:
    thought = drive(script([CLOSE]), make_protocol([1, 9]))
    assert (thought.thinking_ids, thought.answers) == ((), (answer((1, 9), 0, 102),))


def test_end_of_sequence_in_the_thought_is_closed_by_force() -> None:
    thought = drive(script([20, EOS]), make_protocol([4, 8]))
    assert (thought.thinking_ids, thought.stop) == ((20,), "eos")
    assert thought.answers == (answer((4, 8), 1, 104),)


def test_own_close_of_several_tokens() -> None:
    thought = drive(script([20, 21, MARK_A, MARK_B, MARK_C]), make_protocol([5, 7], LONG_MARK))
    assert (thought.thinking_ids, thought.stop) == ((20, 21), "close")
    assert thought.answers == (answer((5, 7), 2, 106),)


@pytest.mark.parametrize("budget", [3, 4])
def test_a_close_mark_that_a_budget_cuts_is_stripped(budget: int) -> None:
    thought = drive(script([20, 21, MARK_A, MARK_B, MARK_C]), make_protocol([budget], LONG_MARK))
    assert (thought.stop, thought.answers) == ("close", (answer((budget,), 2, 106),))


def test_a_thought_goes_on_after_a_cut_mark() -> None:
    thought = drive(script([20, MARK_A, MARK_B, 22, 23]), make_protocol([2, 3, 5], LONG_MARK))
    assert thought.thinking_ids == (20, MARK_A, MARK_B, 22, 23)
    assert thought.answers == (answer((2,), 1, 105), answer((3,), 1, 105), answer((5,), 5, 109))


def test_a_close_before_the_minimum_is_replaced_by_the_wait_text() -> None:
    thought = drive(script([20, CLOSE, 0, 21, CLOSE]), make_protocol([9], extend_to=2, max_extensions=3))
    assert (thought.thinking_ids, thought.extensions) == ((20, WAIT_A, WAIT_B, 21), 1)
    assert thought.answers == (answer((9,), 4, 106),)


def test_the_wait_text_counts_against_the_budget() -> None:
    thought = drive(script([20, CLOSE, 0, 21, 22]), make_protocol([2, 4], extend_to=9, max_extensions=9))
    assert thought.thinking_ids == (20, WAIT_A, WAIT_B, 21)
    assert [a.thinking_tokens for a in thought.answers] == [2, 4]


def test_end_of_sequence_before_the_minimum_is_extended_too() -> None:
    thought = drive(script([EOS, 0, 21, EOS]), make_protocol([9], extend_to=2, max_extensions=1))
    assert (thought.thinking_ids, thought.stop) == ((WAIT_A, WAIT_B, 21), "eos")


def test_extensions_are_limited() -> None:
    thought = drive(script([CLOSE, 0, CLOSE, 0, CLOSE, 0, 0]), make_protocol([9], extend_to=8, max_extensions=2))
    assert (thought.thinking_ids, thought.extensions) == ((WAIT_A, WAIT_B) * 2, 2)
    assert thought.stop == "close"


def test_a_close_at_the_minimum_is_not_extended() -> None:
    thought = drive(script([20, 21, CLOSE]), make_protocol([9], extend_to=2, max_extensions=9))
    assert (thought.extensions, thought.thinking_ids) == (0, (20, 21))


@pytest.mark.parametrize(("wanted", "ids", "finished"), [(0, (), True), (2, (104, 104), True), (3, (104,) * 3, False)])
def test_answers_are_cut_at_their_limit(wanted: int, ids: tuple[int, ...], finished: bool) -> None:
    thought = drive(script([20], answer_tokens=wanted), make_protocol([1], answer_tokens=3))
    assert thought.answers == (Answer((1,), 1, ids, finished),)


def test_marks_are_banned_in_answers_and_only_there() -> None:
    seen = []

    def choose(tokens: tuple[int, ...], banned: frozenset[int], uniform: float) -> int:
        seen.append((CUE in tokens, banned))
        return 20

    drive(choose, make_protocol([2, 3], answer_tokens=2))
    assert set(seen) == {(False, frozenset()), (True, frozenset({OPEN, CLOSE}))}


def test_thinking_off_is_answered_first_after_a_prompt_of_its_own() -> None:
    fed = []

    def choose(tokens: tuple[int, ...], banned: frozenset[int], uniform: float) -> int:
        fed.append((tokens, bool(banned)))
        return 20 if len(fed) != 2 else EOS

    thought = drive(choose, make_protocol([0, 1], answer_tokens=2))
    off, prompt = REQUEST.off_ids, REQUEST.prompt_ids
    assert thought.answers[0] == Answer((0,), 0, (20,), True)
    assert fed[:3] == [(off, True), ((*off, 20), True), (prompt, False)]
    assert (thought.thinking_ids, thought.stop, thought.answers[1].budgets) == ((20,), "budget", (1,))


@pytest.mark.parametrize(
    ("off_ids", "kept"),
    [((1, 2, CUE), 2), ((5, CUE), 0), ((1, 2, OPEN, LINE, CLOSE, CUE), 2), ((1, 2, OPEN), 2), ((1, 2), 2)],
)
def test_the_thought_keeps_the_cache_up_to_where_the_prompts_part(off_ids: tuple[int, ...], kept: int) -> None:
    thought = ForcedThought(Request("p", 0, REQUEST.prompt_ids, off_ids), make_protocol([0, 4], answer_tokens=1))
    assert (thought.length, thought.queue, thought.answering) == (0, list(off_ids), True)
    thought.length, thought.queue = len(off_ids), []
    thought.accept(20)
    assert (thought.length, thought.queue) == (kept, list(REQUEST.prompt_ids[kept:]))


def test_thinking_off_alone_never_thinks() -> None:
    thought = drive(script([20, 21]), make_protocol([0]))
    assert (thought.thinking_ids, thought.stop, len(thought.answers)) == ((), "budget", 1)


def test_a_loop_ends_the_thought_and_is_answered_once_for_all_budgets_left() -> None:
    thought = drive(script([20, *[21, 22] * 40]), make_protocol([5, 20, 60], stop_loops=True))
    # token 20 stands before two periods of six: the 13th token is the first with 12 looping ones
    assert (thought.stop, thought.thinking_ids) == ("loop", (20, *[21, 22] * 6))
    assert thought.answers == (answer((5,), 5, 108), answer((20, 60), 13, 116))


def test_a_loop_goes_on_where_the_recipe_does_not_stop_it() -> None:
    thought = drive(script([20, *[21, 22] * 40]), make_protocol([5, 60]))
    assert (thought.stop, len(thought.thinking_ids)) == ("budget", 60)


def test_a_loop_is_not_extended() -> None:
    rules = {"extend_to": 50, "max_extensions": 2, "stop_loops": True}
    thought = drive(script([21, 22] * 40), make_protocol([60], **rules))
    assert (thought.stop, thought.extensions, len(thought.thinking_ids)) == ("loop", 0, 12)


def test_wait_texts_can_be_the_loop() -> None:
    rules = {"extend_to": 50, "max_extensions": 20, "stop_loops": True}
    thought = drive(lambda tokens, banned, uniform: CLOSE if not banned else EOS, make_protocol([60], **rules))
    assert (thought.stop, thought.thinking_ids) == ("loop", (WAIT_A, WAIT_B) * 6)


def test_a_close_that_was_taken_back_does_not_hide_a_loop() -> None:
    def choose(tokens: tuple[int, ...], banned: frozenset[int], uniform: float) -> int:
        body = tokens[PROMPT:]
        follow = {MARK_A: MARK_B, MARK_B: MARK_C}.get(tokens[-1])
        return EOS if CUE in body else follow or (MARK_A if len(body) == 6 else 21)

    fmt = dataclasses.replace(LONG_MARK, wait_ids=(21,))
    thought = drive(choose, make_protocol([60], fmt, extend_to=9, max_extensions=1, stop_loops=True))
    assert (thought.stop, thought.thinking_ids, thought.extensions) == ("loop", (21,) * 12, 1)


def test_the_random_numbers_ahead_are_those_of_the_next_choices() -> None:
    thought = ForcedThought(REQUEST, make_protocol([3], temperature=1.0))
    ahead = thought.uniforms_ahead(6)
    assert thought.uniform == ahead[0]
    thought.length, thought.queue = 3, []
    thought.accept(20)
    assert thought.uniform == ahead[1] == thought.uniforms_ahead(2)[0]
    assert ahead[5] == 0.0, "beyond the last token that may be chosen"
