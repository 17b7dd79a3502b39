"""The matrix of families: a sweep gives the tokens of transformers' own `generate`, one budget at a time, and what
cannot be swept is refused by its config."""

from __future__ import annotations

import pytest
import torch
from transformers import PreTrainedModel

from eval.engines.hf import HFEngine
from eval.quiet import quiet
from eval.types import Request, Thought
from tests.eval.engines.test_hf import SHORT
from tests.eval.scripted import CLOSE, EOS, FORMAT, by_budget, make_protocol
from tests.prune.every_family import EVERY, make

BUDGETS = (0, 5, 11)
ANSWER_TOKENS = 3
FAST = {"deepseek_v3"}
"""what tests/eval/engines/test_hf.py does not try each time: keys and values that are compressed"""
Answers = dict[int, tuple[tuple[int, ...], tuple[int, ...]]]
"""budget -> (thinking, answer)"""


def go_on(model: PreTrainedModel, ids: list[int], limit: int, ends: list[int], banned: tuple[int, ...]) -> list[int]:
    """What `generate` writes after `ids`, without the token that ends it."""
    tensor = torch.tensor([ids])
    out = model.generate(
        tensor,
        attention_mask=torch.ones_like(tensor),
        max_new_tokens=limit,
        do_sample=False,
        eos_token_id=ends,
        bad_words_ids=[[token] for token in banned] or None,
        pad_token_id=0,
    )
    fresh: list[int] = out[0, len(ids) :].tolist()
    return fresh[:-1] if fresh and fresh[-1] in ends else fresh


def generated(model: PreTrainedModel, request: Request) -> Answers:
    answers: Answers = {}
    for budget in BUDGETS:
        thinking: list[int] = []
        context = list(request.off_ids)
        if budget:
            thinking = go_on(model, list(request.prompt_ids), budget, [CLOSE, EOS], ())
            context = [*request.prompt_ids, *thinking, *FORMAT.forced_close_ids]
            # a close of the model's own is not written twice
            if len(thinking) < budget and closed_itself(model, [*request.prompt_ids, *thinking]):
                context = [*request.prompt_ids, *thinking, *FORMAT.own_close_ids]
        answer = go_on(model, context, ANSWER_TOKENS, list(FORMAT.stop_ids), FORMAT.banned_ids)
        answers[budget] = tuple(thinking), tuple(answer)
    return answers


def closed_itself(model: PreTrainedModel, ids: list[int]) -> bool:
    with torch.inference_mode():
        return int(model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()) == CLOSE


@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=[] if name in FAST else [pytest.mark.slow]) for name in EVERY]
)
def test_a_sweep_gives_the_tokens_of_generate(family: str) -> None:
    model, protocol = make(family), make_protocol(BUDGETS, vocabulary_size=53, answer_tokens=ANSWER_TOKENS)
    with quiet(model):
        thoughts = [thought for thought in HFEngine(model, protocol, 2).think(SHORT) if isinstance(thought, Thought)]
    assert {thought.problem: by_budget(thought) for thought in thoughts} == {
        request.problem: generated(model, request) for request in SHORT
    }
