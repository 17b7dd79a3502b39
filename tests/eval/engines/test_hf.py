"""The in-process engine: one pass equals separate runs and plain `generate`, whatever batch, family or attention."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

import pytest
import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedModel

from eval.engines.hf import HFEngine, prefill_chunks
from eval.engines.slot_attention import SLOTS
from eval.looping import is_looping
from eval.protocol import Protocol
from eval.types import Missing, Request, Thought
from runtime.progress import progress
from tests.eval.scripted import FORMAT, by_budget, make_protocol, reference
from tests.eval.worlds import fresh_nano, nano, nano_format, nano_protocol, nano_requests, rambling
from tests.prune.models import SHAPE, build

Key = tuple[str, int]
MIXED = [*nano_requests("chain", 8), *nano_requests("knowledge", 3), *nano_requests("shallow", 3)]
SAMPLED = {"temperature": 0.8, "top_p": 0.95, "top_k": 20, "seed": 1}
MODELS = {"whole": nano, "rambling": rambling}


def think(
    model: PreTrainedModel, protocol: Protocol, requests: Sequence[Request] = MIXED, batch_size: int = 64
) -> dict[Key, Thought]:
    thoughts = list(HFEngine(model, protocol, batch_size).think(requests))
    assert len(thoughts) == len(requests)
    return {(thought.problem, thought.sample): thought for thought in thoughts}


@pytest.mark.parametrize("sampling", [{}, SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize("model", MODELS)
def test_one_pass_equals_a_separate_run_at_each_budget(model: str, sampling: dict[str, float]) -> None:
    protocol = nano_protocol([0, 8, 15, 32, 64], stop_loops=True, **sampling)
    separate: dict[Key, dict[int, object]] = {}
    for budget in protocol.budgets:
        for key, thought in think(MODELS[model](), dataclasses.replace(protocol, budgets=(budget,))).items():
            separate.setdefault(key, {}).update(by_budget(thought))
    assert {key: by_budget(t) for key, t in think(MODELS[model](), protocol).items()} == separate


def generated(model: PreTrainedModel, request: Request, budget: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(thinking, answer) by transformers' own generate."""
    fmt = nano_format()
    (close,), stop, marks = fmt.close_tag_ids, list(fmt.stop_ids), [[mark] for mark in fmt.banned_ids]

    def go_on(ids: list[int], limit: int, eos: list[int], bad: list[list[int]] | None) -> list[int]:
        tensor = torch.tensor([ids])
        out = model.generate(
            tensor,
            attention_mask=torch.ones_like(tensor),
            max_new_tokens=limit,
            do_sample=False,
            eos_token_id=eos,
            bad_words_ids=bad,
            pad_token_id=0,
        )
        fresh: list[int] = out[0, len(ids) :].tolist()
        return fresh[:-1] if fresh[-1] in eos else fresh

    if budget == 0:
        return (), tuple(go_on(list(request.off_ids), 4, stop, marks))
    thinking = go_on(list(request.prompt_ids), budget, [close, *stop], None)
    context = [*request.prompt_ids, *thinking, *fmt.forced_close_ids]
    return tuple(thinking), tuple(go_on(context, 4, stop, marks))


@pytest.mark.parametrize("model", MODELS)
def test_greedy_equals_generate(model: str) -> None:
    requests = MIXED[::3]
    thoughts = think(MODELS[model](), nano_protocol([0, 8, 24, 60]), requests)
    expected = {(r.problem, 0): {b: generated(MODELS[model](), r, b) for b in (0, 8, 24, 60)} for r in requests}
    assert {key: by_budget(t) for key, t in thoughts.items()} == expected


@pytest.mark.parametrize("sampling", [{}, SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_thoughts_do_not_depend_on_batch_size_or_order(batch_size: int, sampling: dict[str, float]) -> None:
    protocol = nano_protocol([8, 40], **sampling)
    shuffled = random.Random(batch_size).sample(MIXED, len(MIXED))
    assert think(rambling(), protocol, shuffled, batch_size) == think(rambling(), protocol)


def test_more_requests_than_slots_are_all_answered() -> None:
    requests = nano_requests("chain", 40)
    thoughts = think(nano(), nano_protocol([4, 20]), requests, batch_size=7)
    assert thoughts.keys() == {(r.problem, 0) for r in requests}


def test_the_rambling_model_stops_in_every_way() -> None:
    runs = [think(rambling(), nano_protocol([64], **sampling)) for sampling in ({}, SAMPLED)]
    assert {thought.stop for run in runs for thought in run.values()} == {"close", "eos", "budget"}


def test_no_request_gives_no_thought() -> None:
    assert think(nano(), nano_protocol([4]), []) == {}


def test_a_prompt_of_one_token() -> None:
    protocol, request = nano_protocol([6]), Request("p", 0, (6,))
    assert by_budget(think(nano(), protocol, [request])["p", 0]) == {6: generated(nano(), request, 6)}


def test_samples_of_a_problem_differ() -> None:
    thoughts = think(rambling(), nano_protocol([30], **SAMPLED), nano_requests("chain", 4, samples=4))
    assert len({t.thinking_ids for t in thoughts.values()}) > 12


def test_the_seed_changes_sampled_thoughts() -> None:
    first, second = (think(rambling(), nano_protocol([30], **{**SAMPLED, "seed": seed})) for seed in (1, 2))
    assert first != second


@pytest.mark.parametrize("sampling", [{}, SAMPLED], ids=["greedy", "sampled"])
def test_ids_beyond_the_tokenizer_are_never_chosen(sampling: dict[str, float]) -> None:
    padded, protocol = fresh_nano(), nano_protocol([8, 24], **sampling)
    padded.resize_token_embeddings(120)
    with torch.no_grad():  # opposite rows: for any hidden state one of the two has a huge logit
        padded.get_input_embeddings().weight[112] = 100.0
        padded.get_input_embeddings().weight[113] = -100.0
        assert int(padded(torch.tensor([MIXED[0].prompt_ids])).logits[0, -1].argmax()) >= 112
    assert think(padded, protocol) == think(nano(), protocol)


def test_marks_are_never_in_an_answer_of_a_model_that_wants_them() -> None:
    model, fmt = fresh_nano(), nano_format()
    head = torch.nn.Linear(64, 112)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.arange(112.0))
        head.bias[list(fmt.banned_ids)] = 1000.0
    model.lm_head = head
    answers = {a.answer_ids for t in think(model, nano_protocol([4])).values() for a in t.answers}
    assert answers == {(111,) * 4}


def test_extension_in_the_engine_feeds_the_wait_text() -> None:
    protocol = nano_protocol([40], extend_to=12, max_extensions=1)
    thoughts = think(nano(), protocol, nano_requests("knowledge", 4))
    (wait,) = nano_format().wait_ids
    assert {(t.extensions, t.thinking_ids[0]) for t in thoughts.values()} == {(1, wait)}


def test_a_thinking_off_prompt_longer_than_all_else_has_its_place_in_the_cache() -> None:
    (request,) = nano_requests("shallow", 1)
    longer = dataclasses.replace(request, problem="long", off_ids=request.prompt_ids[:3] * 40 + request.off_ids)
    thoughts = think(nano(), nano_protocol([0, 4]), [longer, *MIXED], batch_size=4)
    assert by_budget(thoughts[longer.problem, 0]) == {b: generated(nano(), longer, b) for b in (0, 4)}


def test_loops_are_stopped_in_the_engine() -> None:
    model = fresh_nano()
    with torch.no_grad():
        model.model.layers[0].self_attn.o_proj.weight.zero_()  # blind to what stands before: some thoughts must circle
    free, stopped = (think(model, nano_protocol([8, 64], stop_loops=stop)) for stop in (False, True))
    loops = {key for key, thought in stopped.items() if thought.stop == "loop"}
    assert loops
    for key in loops:
        kept = stopped[key].answers[-1].thinking_tokens
        assert is_looping(free[key].thinking_ids[:kept]) and not is_looping(free[key].thinking_ids[: kept - 1])
    assert all(free[key] == stopped[key] for key in free.keys() - loops)


SHORT = [
    Request("a", 0, (2, 5, 9), (2, 5, 9, 7, 8)),
    Request("b", 0, (2, 40, 8, 30, 31, 17, 22, 12, 6), (4, 8)),
    Request("c", 0, (2, 50, 33, 6), (2, 50, 34, 7, 8)),
]
FAMILIES = ["qwen3", "qwen2_mixed", "qwen2_derived", "mistral", "gemma", "gemma3", "llama", "smollm3"]
ATTENTIONS = [*((family, kind) for family in FAMILIES for kind in ("sdpa", "eager", SLOTS)), ("gemma2", "eager")]


def by_forward(
    model: PreTrainedModel, protocol: Protocol, requests: Sequence[Request] = SHORT
) -> dict[Key, dict[int, object]]:
    """The thoughts of `requests` by uncached forwards over whole sequences, one budget at a time."""

    def choose(tokens: tuple[int, ...], banned: frozenset[int], uniform: float) -> int:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1]
        logits[list(banned)] = -torch.inf
        return int(logits.argmax())

    single = {b: dataclasses.replace(protocol, budgets=(b,)) for b in protocol.budgets}
    return {(r.problem, 0): {b: reference(choose, rules, r) for b, rules in single.items()} for r in requests}


@pytest.mark.parametrize(("family", "attention"), ATTENTIONS)
def test_slots_equal_uncached_forwards_of_every_family(family: str, attention: str) -> None:
    model, protocol = build(family), make_protocol([0, 5, 11], FORMAT, vocabulary_size=53)
    model.set_attn_implementation(attention)
    thoughts = think(model, protocol, SHORT, batch_size=2)
    assert {key: by_budget(thought) for key, thought in thoughts.items()} == by_forward(model, protocol)


def test_the_layers_of_a_model_need_not_be_at_model_layers() -> None:
    shape = {name: SHAPE[name] for name in ("vocab_size", "hidden_size", "num_attention_heads", "initializer_range")}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = GPTNeoXConfig(**shape, num_hidden_layers=2, intermediate_size=24, max_position_embeddings=64)
        model = GPTNeoXForCausalLM(config).eval()
    assert not hasattr(model, "model")
    protocol = make_protocol([0, 5, 11], FORMAT, vocabulary_size=53)
    thoughts = think(model, protocol, SHORT, batch_size=2)
    assert {key: by_budget(thought) for key, thought in thoughts.items()} == by_forward(model, protocol)


@pytest.mark.parametrize(
    ("lengths", "chunks"),
    [
        ([], []),
        ([0, 0], []),
        ([5], [(0, 1)]),
        ([9] * 70, [(0, 32), (32, 64), (64, 70)]),
        ([4097, 9], [(0, 1), (1, 2)]),
        ([2000, 2000, 2000, 9], [(0, 2), (2, 4)]),
        ([3, 0], [(0, 2)]),
    ],
)
def test_prompts_are_run_together_up_to_32_rows_and_4096_tokens(
    lengths: list[int], chunks: list[tuple[int, int]]
) -> None:
    assert list(prefill_chunks(lengths)) == chunks


@pytest.mark.parametrize("attention", ["sdpa", SLOTS])
def test_many_rows_of_uneven_length_equal_few_at_a_time(attention: str) -> None:
    model, protocol = fresh_nano(), nano_protocol([8, 16])
    model.set_attn_implementation(attention)
    requests = [*nano_requests("chain", 60), *nano_requests("knowledge", 10)]
    assert think(model, protocol, requests, batch_size=70) == think(nano(), protocol, requests, batch_size=9)


def starved(most_rows: int) -> PreTrainedModel:
    """A model on a device that has memory for so many rows in one step."""
    model = fresh_nano()

    def check(module: torch.nn.Module, args: object, kwargs: dict[str, torch.Tensor]) -> None:
        if kwargs["input_ids"].shape[0] > most_rows:
            raise torch.OutOfMemoryError("no memory")

    model.register_forward_pre_hook(check, with_kwargs=True)
    return model


def test_where_memory_runs_out_fewer_thoughts_go_side_by_side() -> None:
    assert think(starved(3), nano_protocol([8, 24]), batch_size=8) == think(nano(), nano_protocol([8, 24]))


def test_a_thought_without_memory_even_alone_is_missing() -> None:
    requests = nano_requests("chain", 2)
    tokens = max(request.longest_prompt_tokens for request in requests) + 8 + 2 + 4
    found = list(HFEngine(starved(0), nano_protocol([8]), 8).think(requests))
    assert {(type(one), one.problem, getattr(one, "reason", "")) for one in found} == {
        (Missing, request.problem, f"out of memory at {tokens} tokens, alone") for request in requests
    }


def test_every_token_is_told_to_who_watches() -> None:
    with progress("sweep", None, "thoughts") as work:
        thoughts = think(nano(), nano_protocol([32]))
    written = sum(len(t.thinking_ids) + sum(len(a.answer_ids) for a in t.answers) for t in thoughts.values())
    # more are fed: the last of the prompt, close and cue, and the end of an answer
    assert written <= work.tokens <= written + 8 * len(thoughts)
