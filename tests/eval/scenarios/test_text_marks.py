"""Marks that are plain text of five tokens: a real tokenizer, models that like to write them, and a plain loop."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from data_prep.tokens.prompts import encode, render_off_prompt, render_prompt, think_format
from eval.engines.completions import Call, Completion, CompletionEngine, Failure
from eval.engines.hf import HFEngine
from eval.protocol import Protocol
from eval.types import Engine, Request, Thought
from recipes.data import FormatSection
from tests.data_prep.tokenizers import DOT_END, END, IN, SHUT_LINES, TH, text_mark_tokenizer
from tests.eval.scripted import Choose, by_budget, make_protocol, reference, stands_at_the_end
from tests.prune.models import SHAPE

TEXT, SEEDS = text_mark_tokenizer(), (0, 1, 3, 5)
SPELLED = {ord("<"): [TH], END: [TH], DOT_END: [TH], TH: [IN], IN: [ord("k")], ord("k"): [ord(">"), SHUT_LINES]}
"""what follows what in the tags `<think>` and `</think>`, with the tokens that they are merged into"""
BEGINNINGS = [ord("<"), END, DOT_END]


def eager_for_text_marks(seed: int) -> PreTrainedModel:
    """A small model with a liking for the tokens of marks that are plain text, mostly each after the one before it."""
    shape = SHAPE | {"vocab_size": len(TEXT), "bos_token_id": None, "eos_token_id": TEXT.eos_token_id}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Qwen3ForCausalLM(Qwen3Config(**shape)).eval()
        liking = torch.randn(len(TEXT), len(TEXT)) * 2
    for token in range(len(TEXT)):
        liking[token, SPELLED.get(token, BEGINNINGS)] += 7 if token in SPELLED else 4

    def like(module: torch.nn.Module, args: object, kwargs: dict[str, torch.Tensor], output: Any) -> None:
        output.logits += liking[kwargs["input_ids"]][:, -output.logits.shape[1] :]

    model.register_forward_hook(like, with_kwargs=True)
    return model


def text_mark_case(seed: int, **rules: Any) -> tuple[PreTrainedModel, Protocol, list[Request]]:
    fmt = think_format(FormatSection(open="<think>", close="</think>\n\n", cue="A:"), TEXT)
    protocol = make_protocol([0, 3, 5, 6, 17, 40], fmt, vocabulary_size=len(TEXT), answer_tokens=12, **rules)
    requests = [
        Request(
            question, 0, *(encode(render(question, TEXT, fmt), TEXT) for render in (render_prompt, render_off_prompt))
        )
        for question in ("2+2", "a.", "why", "12 in", "k")
    ]
    return eager_for_text_marks(seed), protocol, requests


def choosing(model: PreTrainedModel) -> Choose:
    """The likeliest token by a forward over the whole sequence, without a cache."""

    def choose(tokens: tuple[int, ...], banned: frozenset[int], uniform: float) -> int:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1]
        logits[list(banned)] = -torch.inf
        return int(logits.argmax())

    return choose


class InProcess:
    """A completer on a model in this process, one call after the other."""

    width = 2

    def __init__(self, model: PreTrainedModel) -> None:
        self.choose, self.calls = choosing(model), list[tuple[int, Call]]()

    def start(self, key: int, call: Call) -> None:
        self.calls.append((key, call))

    def finished(self) -> tuple[int, Completion | Failure]:
        key, call = self.calls.pop(0)
        ids: list[int] = []
        while len(ids) < call.max_tokens and not any(stands_at_the_end(ids, end) for end in call.ends):
            ids.append(self.choose((*call.prompt_ids, *ids), frozenset(call.banned_ids), 0.0))
        return key, Completion(tuple(ids))

    def close(self) -> None:
        self.calls.clear()


def think(engine: Engine, requests: Sequence[Request]) -> list[Thought]:
    return [thought for thought in engine.think(requests) if isinstance(thought, Thought)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "rules"), [*((seed, {}) for seed in SEEDS), (5, {"extend_to": 20, "max_extensions": 2})]
)
def test_marks_of_plain_text_equal_uncached_forwards(seed: int, rules: dict[str, int]) -> None:
    model, protocol, requests = text_mark_case(seed, **rules)
    requests = requests[:2]  # the independent road runs the model on whole sequences, token by token
    single = {b: dataclasses.replace(protocol, budgets=(b,)) for b in protocol.budgets}
    expected = {r.problem: {b: reference(choosing(model), rules, r) for b, rules in single.items()} for r in requests}
    engines = HFEngine(model, protocol, 2), CompletionEngine(InProcess(model), protocol)
    for engine in engines:
        assert {t.problem: by_budget(t) for t in think(engine, requests)} == expected


def test_the_models_eager_for_text_marks_close_in_every_spelling_and_are_cut_inside_marks() -> None:
    cases = [text_mark_case(seed) for seed in SEEDS]
    thoughts = [thought for case in cases for thought in think(HFEngine(case[0], case[1], 8), case[2])]
    assert {thought.stop for thought in thoughts} >= {"close", "budget"}
    cut_inside = {b - a.thinking_tokens for t in thoughts for a in t.answers[1:-1] for b in a.budgets}
    assert cut_inside > {0}
    unfinished = [t for t in thoughts if (END, TH) in pairwise(t.thinking_ids)]
    assert unfinished
    texts = [TEXT.decode(list(answer.answer_ids)) for thought in thoughts for answer in thought.answers]
    assert any("<think" in text or "</think" in text for text in texts)
    assert not any("<think>" in text or "</think>" in text for text in texts)
