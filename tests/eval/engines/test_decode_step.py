"""One step on its buffers: what is fed where, what is banned, and what is noted."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from eval.engines.decode_step import DecodeStep, Size, choosing
from eval.engines.slot_attention import SLOTS
from eval.engines.slot_cache import SlotCache
from eval.engines.slot_forward import SlotForward, attention_windows
from tests.eval.scripted import FORMAT, make_protocol
from tests.prune.models import build

ROWS = [[5, 9, 30, 31], [40, 8]]


def likeliest(tokens: list[int], banned: list[int] | None = None) -> int:
    """By a forward over the whole sequence."""
    with torch.no_grad():
        logits = build("llama")(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1]
    logits[banned or []] = -torch.inf
    return int(logits.argmax())


def make_step(steps: int = 3) -> DecodeStep:
    """A step whose two rows hold all of ROWS but the last token, which they feed first."""
    model = build("llama")
    protocol = make_protocol([9], dataclasses.replace(FORMAT, banned_marks=(((1,), (2, 3)),)), vocabulary_size=53)
    model.set_attn_implementation(SLOTS)
    forward, cache = SlotForward(model, attention_windows(model.config)), SlotCache(6, 2, 16)
    forward.prefill([row[:-1] for row in ROWS], cache, 0)
    step = DecodeStep(forward, cache, protocol, steps)
    step.buffers.fed.fill_(-1)
    for row, tokens in enumerate(ROWS):
        step.buffers.fed[row, 0], step.buffers.position[row] = tokens[-1], len(tokens) - 1
    return step


@torch.inference_mode()
def test_each_row_feeds_what_it_has_chosen() -> None:
    step, expected = make_step(), [list(row) for row in ROWS]
    for _ in range(3):
        step.run(Size(2, 16))
        for row in expected:
            row.append(likeliest(row))
    assert step.buffers.chosen.tolist() == [row[-3:] for row in expected]
    assert step.buffers.decided.all() and step.buffers.step.tolist() == [3]


@torch.inference_mode()
def test_a_queue_is_fed_before_what_is_chosen() -> None:
    step = make_step()
    step.buffers.fed[1, 1] = 33
    step.run(Size(2, 16))
    step.run(Size(2, 16))
    assert int(step.buffers.chosen[1, 1]) == likeliest([*ROWS[1], 33])


@torch.inference_mode()
def test_marks_are_banned_in_answers_alone() -> None:
    step, favourite = make_step(), likeliest(ROWS[0])
    step.banned_ids = torch.tensor([[favourite, 6]])
    step.buffers.answering[0] = True
    step.run(Size(2, 16))
    assert step.buffers.chosen[:, 0].tolist() == [likeliest(ROWS[0], [favourite, 6]), likeliest(ROWS[1])]


@torch.inference_mode()
@pytest.mark.parametrize("first_choice", [0, 1])
def test_more_is_banned_at_the_first_choice(first_choice: int) -> None:
    step, favourite = make_step(), likeliest(ROWS[1])
    step.buffers.banned[1], step.buffers.has_banned[1] = favourite, True
    step.buffers.first_choice[1] = first_choice
    step.run(Size(2, 16))
    expected = likeliest(ROWS[1], [favourite]) if first_choice == 0 else favourite
    assert step.buffers.chosen[:, 0].tolist() == [likeliest(ROWS[0]), expected]


@torch.inference_mode()
def test_a_row_that_has_ended_runs_on_at_the_last_column() -> None:
    step = make_step()
    step.buffers.position[0] = 15
    for _ in range(3):
        step.run(Size(2, 16))
    assert step.buffers.chosen[1].tolist()[0] == likeliest(ROWS[1])


def test_a_draw_that_the_likeliest_do_not_decide_is_decided_exactly() -> None:
    choose, exactly = choosing(make_protocol([4], FORMAT, vocabulary_size=2000, temperature=1.0))
    logits, uniform = torch.zeros(1, 2000), torch.tensor([0.75], dtype=torch.float64)
    assert not choose(logits.clone(), uniform)[1].item()
    tokens, decided = exactly(logits.clone(), uniform)
    assert (tokens.item(), decided.item()) == (1500, True)
