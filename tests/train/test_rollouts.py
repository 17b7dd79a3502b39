"""Which slots are rollouts, what a rollout is about, what it holds, and when a round is left out; all by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from data_prep.commands.nano import FORMAT
from data_prep.nano_world import build_tokenizer
from data_prep.problem import Problem
from data_prep.tokens.prompts import think_format
from eval.types import Answer, Request, Thought
from recipes.on_policy import OnPolicySection
from train.rollouts import Rollout, Schedule, facts_of, problem_of, rollout_of, stop_id_of, why_not

NANO = build_tokenizer()
FORM = think_format(FORMAT, NANO)
STOP = stop_id_of(FORM, NANO)
PROBLEMS = [Problem(str(i), "?", "1") for i in range(3)]


def section(**keys: Any) -> OnPolicySection:
    usual = {
        "problems": {"source": "nano", "name": "own", "family": "chain", "size": 3},
        "horizon": {"start": 10, "end": 20, "steps": 4},
        "refresh_steps": 2,
    }
    return OnPolicySection.model_validate({**usual, **keys})


def test_a_third_of_the_slots_are_rollouts_evenly_spread() -> None:
    schedule = Schedule(section(share=1 / 3), batch=4, steps=3)
    assert [schedule.number(slot) for slot in range(12)] == [None, None, 0, None, None, 1, None, None, 2, None, None, 3]


def test_with_a_share_of_1_every_slot_is_one() -> None:
    assert [Schedule(section(), 4, 3).number(slot) for slot in range(5)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("share", [1.0, 0.5, 0.3])
def test_the_rounds_have_all_rollouts_once_and_each_slot_finds_its_own(share: float) -> None:
    schedule = Schedule(section(share=share), batch=5, steps=5)
    rounds = [schedule.round_of(step) for step in range(5)]
    assert [each.first for each in rounds] == [0, 0, 2, 2, 4]
    numbers = [number for each in rounds[::2] for number in each.numbers]
    assert numbers == list(range(schedule.before(25)))
    found = [(slot // 5, schedule.number(slot)) for slot in range(25)]
    assert all(number in rounds[step].numbers for step, number in found if number is not None)


def test_a_round_is_as_long_as_the_horizon_at_its_first_step() -> None:
    schedule = Schedule(section(), batch=1, steps=6)
    assert [schedule.round_of(step).horizon for step in range(6)] == [10, 10, 15, 15, 20, 20]


def test_each_pass_thinks_about_every_problem_as_often_as_samples_say() -> None:
    one, other = (
        [problem_of(number, PROBLEMS, section(samples=2)).id for number in range(first, first + 6)] for first in (0, 6)
    )
    assert sorted(one) == sorted(other) == ["0", "0", "1", "1", "2", "2"]
    assert one[0::2] == one[1::2]


def test_another_pass_has_another_order() -> None:
    orders = {tuple(problem_of(turn * 3 + place, PROBLEMS, section()).id for place in range(3)) for turn in range(20)}
    assert len(orders) > 1


def thought(stop: str, *, finished: bool = True) -> Thought:
    return Thought("p", 7, (50, 51, 52), stop, 0, (Answer((10,), 3, (60, 61), finished),))  # type: ignore[arg-type]


def test_all_that_the_model_chose_is_labelled() -> None:
    found = rollout_of(Request("p", 7, (40, 41)), thought("close"), FORM, STOP)
    assert found.input_ids == (40, 41, 50, 51, 52, *FORM.own_close_ids, 60, 61, STOP)
    assert found.labelled == (0, 0, *([1] * (3 + len(FORM.own_close_ids) + 3)))
    assert (found.number, found.thinking_tokens) == (7, 3)


def test_a_forced_close_is_not_the_models_own_and_an_answer_that_was_cut_has_no_stop() -> None:
    found = rollout_of(Request("p", 7, (40, 41)), thought("budget", finished=False), FORM, STOP)
    assert found.input_ids == (40, 41, 50, 51, 52, *FORM.forced_close_ids, 60, 61)
    assert found.labelled == (0, 0, 1, 1, 1, *([0] * len(FORM.forced_close_ids)), 1, 1)


def test_an_example_has_the_ids_as_labels_where_it_is_labelled() -> None:
    example = Rollout(0, (5, 6, 7, 8), (0, 1, 0, 1), "close", 1).example()
    assert example["labels"].tolist() == [-100, 6, -100, 8] and example["seq_lengths"] == [4]
    assert example["input_ids"].dtype == np.int64


def test_a_line_gives_the_same_rollout() -> None:
    rollout = Rollout(3, (5, 6), (0, 1), "loop", 1)
    assert Rollout.of_row(rollout.row()) == rollout


def rollouts(*lengths_and_stops: tuple[int, str]) -> list[Rollout]:
    return [Rollout(0, (1,), (1,), stop, length) for length, stop in lengths_and_stops]


def test_facts_by_hand() -> None:
    facts = facts_of(rollouts((4, "close"), (30, "budget"), (0, "close"), (6, "loop")), first_horizon=10)
    assert (facts.thoughts, facts.ended, facts.looping) == (4, 0.5, 0.5)
    assert (facts.mean, facts.cut_mean) == (10.0, 5.0)


GOOD = facts_of(rollouts((10, "close"), (10, "close")), 10)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (rollouts((10, "close"), (9, "budget")), ""),
        (rollouts((10, "loop"), (9, "budget")), ""),  # half of them, which is allowed
        (rollouts((10, "loop"), (9, "loop"), (1, "close")), "67% of the thoughts loop or are empty, more than"),
        (rollouts((0, "close"), (0, "eos")), "100% of the thoughts loop or are empty"),
    ],
)
def test_a_round_that_collapses_is_left_out(now: list[Rollout], said: str) -> None:
    found = why_not(facts_of(now, 10), GOOD, section())
    assert found.startswith(said) and bool(found) == bool(said)


def test_a_round_whose_thoughts_grow_under_the_first_horizon_is_left_out() -> None:
    first = facts_of(rollouts((4, "close")), 10)
    assert why_not(facts_of(rollouts((6, "close")), 10), first, section()) == ""
    said = why_not(facts_of(rollouts((8, "close")), 10), first, section())
    assert said == "thoughts are 2.00 times as long as in the first round, more than on_policy.most_inflation=1.5"


def test_a_longer_horizon_alone_is_no_inflation() -> None:
    first = facts_of(rollouts((10, "budget")), 10)
    assert why_not(facts_of(rollouts((80, "close")), 10), first, section()) == ""
