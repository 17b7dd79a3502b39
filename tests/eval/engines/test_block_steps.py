"""Blocks of steps, without graphs as on a CPU: the thoughts are those of one step at a time, and of `generate`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from eval.budget_forcing import ForcedThought
from eval.engines.block_steps import STEPS, BlockSteps, take
from eval.engines.hf import HFEngine, MakeSteps, by_device, without_graphs
from eval.protocol import Protocol
from eval.quiet import quiet
from eval.types import Request, Thought
from tests.eval.engines.test_hf import MIXED, MODELS, SAMPLED, SHORT, by_forward, generated, think
from tests.eval.scenarios.test_text_marks import text_mark_case
from tests.eval.scripted import CLOSE, EOS, FORMAT, LINE, REQUEST, by_budget, make_protocol
from tests.eval.worlds import fresh_nano, nano, nano_protocol, rambling
from tests.prune.models import SHAPE, build

Key = tuple[str, int]
FEW = MIXED[::2]


def by_blocks(
    model: PreTrainedModel, protocol: Protocol, requests: Sequence[Request], batch_size: int = 64
) -> dict[Key, Thought]:
    with quiet(model):
        engine = HFEngine(model, protocol, batch_size, make_steps=partial(BlockSteps, captures=False))
        thoughts = [one for one in engine.think(requests) if isinstance(one, Thought)]
    return {(thought.problem, thought.sample): thought for thought in thoughts}


@pytest.mark.parametrize(
    "rules", [{}, SAMPLED, {"extend_to": 12, "max_extensions": 2}], ids=["greedy", "sampled", "wait"]
)
@pytest.mark.parametrize("model", MODELS)
def test_thoughts_are_those_of_one_step_at_a_time(model: str, rules: dict[str, Any]) -> None:
    protocol = nano_protocol([0, 8, 15, 32], stop_loops=True, **rules)
    assert by_blocks(MODELS[model](), protocol, FEW) == think(MODELS[model](), protocol, FEW)


def test_greedy_equals_generate() -> None:
    request, budgets = FEW[0], (8, 24)
    thought = by_blocks(rambling(), nano_protocol(budgets), [request])[request.problem, 0]
    assert by_budget(thought) == {budget: generated(rambling(), request, budget) for budget in budgets}


@pytest.mark.parametrize("batch_size", [1, 3])
def test_thoughts_do_not_depend_on_neighbours(batch_size: int) -> None:
    protocol = nano_protocol([8, 20], **SAMPLED)
    assert by_blocks(rambling(), protocol, FEW[::-1], batch_size) == by_blocks(rambling(), protocol, FEW)


@pytest.mark.parametrize("family", ["qwen2_mixed", "mistral", "gemma2", "gemma3"])
def test_windows_and_eager_attention(family: str) -> None:
    model, protocol = build(family), make_protocol([0, 5, 11], FORMAT, vocabulary_size=53)
    thoughts = by_blocks(model, protocol, SHORT, batch_size=2)
    assert {key: by_budget(thought) for key, thought in thoughts.items()} == by_forward(model, protocol)


@pytest.mark.parametrize("rules", [{}, {"temperature": 0.9}], ids=["greedy", "sampled"])
def test_marks_of_several_tokens_are_banned_and_begun(rules: dict[str, Any]) -> None:
    model, protocol, requests = text_mark_case(5, **rules)
    assert by_blocks(model, protocol, requests[:2]) == think(model, protocol, requests[:2])


def test_tokens_that_the_likeliest_do_not_decide() -> None:
    """Nearly even probabilities over 2,000 tokens: most choices need more than the 276 likeliest, and a step more."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Qwen3ForCausalLM(Qwen3Config(**{**SHAPE, "vocab_size": 2000, "num_hidden_layers": 2})).eval()
    protocol = make_protocol([4, 9], FORMAT, vocabulary_size=2000, temperature=50.0, top_p=0.9, seed=4)
    assert by_blocks(model, protocol, SHORT) == think(model, protocol, SHORT)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
@pytest.mark.parametrize("make_steps", [by_device, without_graphs], ids=["graphs", "no graphs"])
@pytest.mark.parametrize("rules", [{}, SAMPLED], ids=["greedy", "sampled"])
def test_on_a_gpu_the_thoughts_are_those_of_a_cpu(make_steps: MakeSteps, rules: dict[str, Any]) -> None:
    model, protocol = fresh_nano().cuda(), nano_protocol([0, 8, 15, 32], **rules)
    with quiet(model):
        thoughts = list(HFEngine(model, protocol, 64, make_steps=make_steps).think(MIXED))
    assert {(one.problem, one.sample): one for one in thoughts} == think(nano(), protocol, MIXED)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
def test_a_sweep_on_a_gpu_gives_its_memory_back() -> None:
    model = fresh_nano().cuda()
    before = torch.cuda.memory_allocated()
    with quiet(model):
        list(HFEngine(model, nano_protocol([32]), 64).think(MIXED))
    assert torch.cuda.memory_allocated() <= before + (1 << 20)


def thinking(queue: list[int], budget: int = 40) -> ForcedThought:
    """A thought whose prompt is in the cache but for `queue`."""
    thought = ForcedThought(REQUEST, make_protocol([budget], FORMAT))
    thought.length, thought.queue = len(REQUEST.prompt_ids) - len(queue), queue
    return thought


DECIDED = [True] * STEPS


def test_a_whole_block_is_taken_and_its_last_token_is_fed_next() -> None:
    thought = thinking([6])
    assert not take(thought, list(range(20, 20 + STEPS)), DECIDED)
    assert (thought.length, thought.queue) == (3 - 1 + STEPS, [27])


def test_what_follows_a_close_is_thrown_away() -> None:
    thought = thinking([6])
    take(thought, [20, 21, CLOSE, 22, 23, 24, 25, 26], DECIDED)
    assert thought.answering and thought.length == 3 + 2
    assert thought.queue == list(FORMAT.own_close_ids)


def test_what_follows_a_budget_is_thrown_away() -> None:
    thought = thinking([6], budget=3)
    take(thought, [20, 21, 22, 23, 24, 25, 26, 27], DECIDED)
    assert thought.answering and (thought.length, thought.queue[0]) == (3 + 3, LINE)


def test_an_end_ends_the_thought() -> None:
    thought = thinking([6])
    take(thought, [EOS, *range(20, 19 + STEPS)], DECIDED)
    assert thought.answering


def test_a_queue_longer_than_a_block_chooses_nothing() -> None:
    thought = thinking([6])
    thought.length, thought.queue = 0, list(range(30, 30 + STEPS + 2))
    assert not take(thought, [99] * STEPS, DECIDED)
    assert (thought.length, thought.queue) == (STEPS, [38, 39])


def test_a_token_that_is_not_decided_is_chosen_again_from_the_one_before_it() -> None:
    thought = thinking([6])
    assert take(thought, [20, 21, 22, 23, 24, 25, 26, 27], [True, True, False, *[True] * (STEPS - 3)])
    assert (thought.length, thought.queue) == (3 + 1, [21])
    take(thought, [23, *range(30, 29 + STEPS)], DECIDED)
    assert thought._thinking[:4] == [20, 21, 23, 30]
