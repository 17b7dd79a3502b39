"""Hybrids: thoughts that are taken back, in every way, are those of uncached forwards; slots that move keep states."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from data_prep.tokens.prompts import ThinkFormat
from eval.budget_forcing import ForcedThought
from eval.engines.slot_forward import SlotForward, attention_windows
from eval.engines.state_cache import StateCache, layer_kinds
from eval.engines.state_steps import StateSteps
from eval.quiet import quiet
from eval.types import Request
from tests.eval.engines.test_hf import SHORT, by_forward, think
from tests.eval.scripted import FORMAT, by_budget, make_protocol
from tests.prune.every_family import make

TRIED = ["lfm2", *(pytest.param(family, marks=pytest.mark.slow) for family in ("qwen3_5", "granite_hybrid"))]
"""short convolutions, linear attention, Mamba"""
MARKED: ThinkFormat = dataclasses.replace(FORMAT, close_mark=((7, 20, 21, 22, 23, 24), (8, 30, 31, 32, 33)))
PROTOCOLS: dict[str, dict[str, Any]] = {
    "budgets": {"budgets": [0, 3, 5, 11]},
    "extended": {"budgets": [5, 11], "extend_to": 9, "max_extensions": 2},
    "loops": {"budgets": [4, 16], "stop_loops": True},
    "a close of two tokens": {"budgets": [0, 5, 11], "fmt": MARKED},
}


@pytest.mark.parametrize("rules", PROTOCOLS)
@pytest.mark.parametrize("family", TRIED)
def test_thoughts_are_those_of_uncached_forwards(family: str, rules: str) -> None:
    model, protocol = make(family), make_protocol(**PROTOCOLS[rules], vocabulary_size=53)
    with quiet(model):
        thoughts = think(model, protocol, SHORT, batch_size=2)
    assert {key: by_budget(thought) for key, thought in thoughts.items()} == by_forward(model, protocol)


@pytest.mark.parametrize("family", TRIED)
def test_thoughts_do_not_depend_on_slots_that_move(family: str) -> None:
    model, protocol = make(family), make_protocol([0, 4, 9], vocabulary_size=53, temperature=1.0, seed=1)
    many = [dataclasses.replace(request, sample=n) for n in range(4) for request in SHORT]
    with quiet(model):
        at_once, in_turn = (think(model, protocol, many, batch_size) for batch_size in (16, 3))
    assert at_once == in_turn
    assert len({thought.stop for thought in at_once.values()}) > 1


def test_a_prompt_of_one_token_begins_from_nothing_in_a_slot_that_was_used() -> None:
    model, protocol = make("lfm2"), make_protocol([5], vocabulary_size=53)
    requests = [SHORT[1], Request("one", 0, (6,))]
    with quiet(model):
        thoughts = think(model, protocol, requests, batch_size=1)
    assert {key: by_budget(thought) for key, thought in thoughts.items()} == by_forward(model, protocol, requests)


def test_after_an_answer_a_thought_goes_on_without_its_prompt_being_read_again() -> None:
    """Fed one by one: the last token of the prompt, the thought once, and each close, cue and answer."""
    model, protocol = make("lfm2"), make_protocol([4, 8, 12], vocabulary_size=53)
    thought, fed = ForcedThought(SHORT[1], protocol), 0
    with quiet(model), torch.inference_mode():
        forward = SlotForward(model, attention_windows(model.config))
        cache = StateCache(layer_kinds(model.config), 1, 64)
        forward.prefill([thought.queue[:-1]], cache, 0)
        thought.length, thought.queue = len(thought.queue) - 1, thought.queue[-1:]
        steps = StateSteps(forward, cache, protocol)
        while not thought.done:
            steps.advance([thought])
            fed += 1
    answers = sum(len(FORMAT.forced_close_ids) + len(answer.answer_ids) for answer in thought.thought().answers)
    assert fed <= 1 + len(thought.thought().thinking_ids) + answers
