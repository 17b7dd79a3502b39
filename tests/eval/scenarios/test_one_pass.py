"""One pass over many budgets against the protocol spelled out for one budget at a time, on random models and rules."""

from __future__ import annotations

import dataclasses
import random

import pytest

from eval.protocol import Protocol
from eval.types import Request
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
    Choose,
    by_budget,
    drive,
    make_protocol,
    reference,
)
from tests.eval.test_budget_forcing import LONG_MARK, MARK_A, MARK_B, MARK_C


def random_model(seed: int) -> Choose:
    """Draws each token from the whole sequence before it: closes, ends and begins marks now and then.

    Every third model looks at the last two tokens alone, so that it goes round in circles.
    """
    menu = [CLOSE, EOS, OPEN, MARK_A, MARK_A, MARK_A, MARK_B, 43, 44, WAIT_A, *range(20, 28)]

    def choose(tokens: tuple[int, ...], banned: frozenset[int], uniform: float) -> int:
        seen = (seed, *tokens[-2:]) if seed % 3 == 0 else (seed, uniform, *tokens)
        rng = random.Random(hash(seen))
        follow = {MARK_A: [MARK_B], 43: [MARK_B], OPEN: [MARK_B], MARK_B: [MARK_C, 44]}.get(tokens[-1], [])
        allowed = [token for token in follow if token not in banned]
        if allowed and rng.random() < 0.6:
            return rng.choice(allowed)
        return rng.choice([token for token in menu if token not in banned])

    return choose


TEXT_MARK = dataclasses.replace(
    FORMAT,
    close_mark=((MARK_A, 43), (MARK_B,), (MARK_C, 44)),
    forced_close_ids=(LINE, MARK_A, MARK_B, MARK_C, CUE),
    own_close_ids=(MARK_A, MARK_B, MARK_C, TAIL, CUE),
    banned_ids=(),
    banned_marks=(((OPEN,), (MARK_B,)), ((MARK_A, 43), (MARK_B,), (MARK_C, 44))),
)
OFF_PROMPTS = [(1, 2, OPEN, LINE, CLOSE, CUE), (1, 2, OPEN, CUE), (1, 2, CLOSE, CUE), (5, CUE), REQUEST.prompt_ids]


def random_case(seed: int, temperature: float) -> tuple[Choose, Protocol, Request]:
    rng = random.Random(seed)
    budgets = sorted(rng.sample(range(1, rng.choice([25, 50])), rng.randint(1, 6)))
    protocol = make_protocol(
        [*rng.choice([(), (0,)]), *budgets],
        rng.choice([FORMAT, LONG_MARK, TEXT_MARK]),
        answer_tokens=rng.randint(1, 4),
        temperature=temperature,
        extend_to=rng.choice([0, 0, 5, 30]),
        max_extensions=rng.randint(1, 3),
        seed=rng.randint(0, 9),
        stop_loops=rng.random() < 0.5,
    )
    return random_model(seed), protocol, dataclasses.replace(REQUEST, off_ids=rng.choice(OFF_PROMPTS))


def alone(protocol: Protocol, budget: int) -> Protocol:
    return dataclasses.replace(protocol, budgets=(budget,))


def test_one_pass_equals_the_protocol_at_each_budget() -> None:
    for seed in range(600):
        model, protocol, request = random_case(seed, 0.0)
        expected = {b: reference(model, alone(protocol, b), request) for b in protocol.budgets}
        assert by_budget(drive(model, protocol, request)) == expected, f"seed {seed}, {protocol}"


def test_one_pass_equals_separate_runs_when_sampled() -> None:
    for seed in range(600):
        model, protocol, request = random_case(seed, 1.0)
        separate: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {}
        for budget in protocol.budgets:
            separate |= by_budget(drive(model, alone(protocol, budget), request))
        assert by_budget(drive(model, protocol, request)) == separate, f"seed {seed}, {protocol}"


@pytest.mark.parametrize("stop", ["close", "loop"])
def test_how_a_thought_stopped_is_the_same_in_one_pass_and_in_separate_runs(stop: str) -> None:
    for seed in range(300):
        model, protocol, request = random_case(seed, 0.0)
        whole = drive(model, protocol, request)
        own = set(whole.answers[-1].budgets) if whole.stop == stop else set()
        if stop == whole.stop == "close":  # a thought of exactly a budget's tokens, too
            own |= {budget for budget in protocol.budgets if budget > 0 and len(whole.thinking_ids) <= budget}
        single = {b: drive(model, alone(protocol, b), request) for b in protocol.budgets}
        assert own == {b for b, thought in single.items() if thought.stop == stop}, f"seed {seed}, {protocol}"


def test_the_random_models_reach_every_way_to_stop() -> None:
    thoughts = [drive(*random_case(seed, 0.0)) for seed in range(600)]
    assert {t.stop for t in thoughts} == {"close", "eos", "budget", "loop"}
    assert sum(t.stop == "loop" for t in thoughts) > 20
    assert {t.extensions for t in thoughts} == {0, 1, 2, 3}
    assert any(len({a.thinking_tokens for a in t.answers}) < len(t.answers) for t in thoughts)
