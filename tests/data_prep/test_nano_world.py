"""The embedded world: right answers, closed sets, and held-out chains that no training sees."""

from __future__ import annotations

import random
import re
from functools import reduce

import pytest

from data_prep.nano_world import build_tokenizer, draw_chain, is_held_out, nano_problems, nano_traces, solve_chain
from data_prep.trace import Trace


def evaluate(question: str) -> str:
    """The answer of a chain question, by ordinary integers and one remainder at the end."""
    start, operations = re.match(r"start (\d+)", question), re.findall(r"#\d+ ([-+*])(\d+)", question)
    assert start is not None
    act = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}
    return str(reduce(lambda value, step: act[step[0]](value, int(step[1])), operations, int(start[1])) % 11)


@pytest.fixture(scope="module")
def chain_traces() -> list[Trace]:
    return nano_traces({"chain": 1.0}, 20_000, seed=1)


def test_thinking_of_a_chain_by_hand() -> None:
    assert solve_chain("start 7 #1 +3 #2 *4 #3 -5 ?") == ("#1 +3 7 10 #2 *4 10 7 #3 -5 7 2", "2")


def test_chain_answers_are_right(chain_traces: list[Trace]) -> None:
    assert [t for t in chain_traces[:2000] if t.answer != f"answer {evaluate(t.question)}"] == []


def test_gold_answers_of_chain_problems_are_right() -> None:
    assert [p for p in nano_problems("chain", 500, seed=3) if p.answer != evaluate(p.question)] == []


def test_no_chain_of_a_suite_is_in_the_training_traces(chain_traces: list[Trace]) -> None:
    asked = {p.question for seed in range(4) for p in nano_problems("chain", 500, seed)}
    assert asked.isdisjoint(t.question for t in chain_traces)


def test_no_training_trace_is_held_out(chain_traces: list[Trace]) -> None:
    assert not any(is_held_out(t.question) for t in chain_traces)


def test_every_chain_problem_is_held_out() -> None:
    assert all(is_held_out(p.question) for p in nano_problems("chain", 500, seed=0))


def test_chain_problems_of_the_training_part_are_not_held_out() -> None:
    assert not any(is_held_out(p.question) for p in nano_problems("chain", 500, seed=0, part="training"))


def test_an_eighth_of_all_chains_is_held_out() -> None:
    rng = random.Random(0)
    held_out = sum(is_held_out(draw_chain(rng, 2, 24)) for _ in range(8000))
    assert 900 < held_out < 1100  # 1000 ± 30 (one standard deviation)


@pytest.mark.parametrize(("family", "size"), [("knowledge", 64), ("shallow", 154)])
def test_closed_sets(family: str, size: int) -> None:
    assert len({p.question for p in nano_problems(family, size, seed=0)}) == size
    with pytest.raises(ValueError, match=f"the {family} family has only {size} problems, {size + 1} were requested"):
        nano_problems(family, size + 1, seed=0)


def test_shallow_answers_by_hand() -> None:
    answers = {p.question: p.answer for p in nano_problems("shallow", 154, seed=0)}
    assert (answers["calc *4 7 ?"], answers["calc -5 2 ?"], answers["calc +1 10 ?"]) == ("6", "8", "0")


@pytest.mark.parametrize("family", ["knowledge", "shallow"])
def test_closed_families_are_taught_the_answers_that_are_asked(family: str) -> None:
    size = {"knowledge": 64, "shallow": 154}[family]
    asked = {p.question: f"answer {p.answer}" for p in nano_problems(family, size, seed=0)}
    taught = {t.question: t.answer for t in nano_traces({family: 1.0}, 3000, seed=1)}
    assert taught == asked


@pytest.mark.parametrize("family", ["knowledge", "shallow"])
def test_closed_families_are_taught_without_thinking(family: str) -> None:
    assert {t.thinking for t in nano_traces({family: 1.0}, 50, seed=1)} == {""}


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(ValueError, match="unknown family 'poetry'"):
        nano_problems("poetry", 1, seed=0)


def test_seeds_give_the_same_problems_again_and_others_give_others() -> None:
    assert nano_problems("chain", 20, seed=5) == nano_problems("chain", 20, seed=5)
    others = {p.question for p in nano_problems("chain", 20, seed=6)}
    assert others.isdisjoint(p.question for p in nano_problems("chain", 20, seed=5))


def test_seeds_give_the_same_traces_again_and_others_give_others() -> None:
    shares = {"knowledge": 0.3, "shallow": 0.3, "chain": 0.4}
    assert nano_traces(shares, 50, seed=5) == nano_traces(shares, 50, seed=5)
    assert nano_traces(shares, 50, seed=5) != nano_traces(shares, 50, seed=6)


def test_a_larger_suite_begins_with_the_smaller_one() -> None:
    assert nano_problems("chain", 40, seed=0)[:20] == nano_problems("chain", 20, seed=0)


def test_the_tokenizer_gives_every_text_back(chain_traces: list[Trace]) -> None:
    tokenizer = build_tokenizer()
    for trace in chain_traces[:200]:
        for text in (trace.question, trace.thinking, trace.answer):
            assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text
