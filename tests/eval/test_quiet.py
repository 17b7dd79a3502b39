"""Evaluation leaves no trace in training."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel, Qwen3MoeConfig, Qwen3MoeForCausalLM

from eval.engines.cpu_linear import has_onednn
from eval.engines.hf import HFEngine
from eval.quiet import quiet
from eval.types import Thought
from tests.eval.engines.test_hf import SHORT, by_forward
from tests.eval.scripted import by_budget, make_protocol
from tests.eval.worlds import fresh_nano
from tests.prune.models import SHAPE

IDS = torch.tensor([[2, 4, 10, 20, 38, 26, 12, 5, 6]])


class Broken(Exception):
    pass


@pytest.fixture
def training() -> PreTrainedModel:
    """In training mode with dropout, but for one frozen block."""
    model = fresh_nano(layers=3).train()
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.5
    model.model.layers[1].eval()
    return model


EXPERTS = {"moe_intermediate_size": 24, "num_experts": 4, "num_experts_per_tok": 2}


def test_a_mixture_of_experts_in_training_is_swept_like_generate_and_asks_for_its_router_losses_again() -> None:
    torch.manual_seed(0)
    model = Qwen3MoeForCausalLM(Qwen3MoeConfig(**SHAPE, **EXPERTS)).train()
    model.config.output_router_logits = True  # as TRL sets it
    protocol = make_protocol([7], vocabulary_size=53)
    with quiet(model):
        thoughts = [one for one in HFEngine(model, protocol, 2).think(SHORT) if isinstance(one, Thought)]
    assert model.config.output_router_logits
    expected = by_forward(model.eval(), protocol)
    assert {(one.problem, one.sample): by_budget(one) for one in thoughts} == expected


def test_cudnn_builds_no_plans_for_attention(training: PreTrainedModel) -> None:
    before = torch.backends.cuda.cudnn_sdp_enabled()
    with quiet(training):
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    assert torch.backends.cuda.cudnn_sdp_enabled() == before


def flags(model: PreTrainedModel) -> list[bool]:
    return [module.training for module in model.modules()]


def draws() -> list[Any]:
    return [random.random(), float(np.random.random()), float(torch.rand(()))]


def seed_all() -> None:
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)


def disturb(model: PreTrainedModel) -> None:
    draws()
    random.seed(7)
    np.random.seed(7)
    torch.manual_seed(7)
    model.train()


def test_inside_everything_is_in_evaluation_mode(training: PreTrainedModel) -> None:
    with quiet(training):
        assert not any(flags(training))


def test_dropout_rests_inside_and_only_there(training: PreTrainedModel) -> None:
    with quiet(training), torch.no_grad():
        inside = [training(IDS).logits for _ in range(2)]
    outside = [training(IDS).logits for _ in range(2)]
    assert torch.equal(*inside)
    assert not torch.equal(*outside)


def test_training_flags_come_back_one_by_one(training: PreTrainedModel) -> None:
    before = flags(training)
    with quiet(training):
        disturb(training)
    assert flags(training) == before
    assert {True, False} == set(before)


def test_random_states_come_back(training: PreTrainedModel) -> None:
    seed_all()
    expected = draws()
    seed_all()
    with quiet(training):
        disturb(training)
    assert draws() == expected


def test_all_comes_back_when_the_body_raises(training: PreTrainedModel) -> None:
    before = flags(training)
    seed_all()
    expected = draws()
    seed_all()
    with suppress(Broken), quiet(training):
        disturb(training)
        raise Broken
    assert (flags(training), draws()) == (before, expected)


def test_attention_comes_back_when_the_body_changes_it(training: PreTrainedModel) -> None:
    with quiet(training):
        training.set_attn_implementation("eager")
    assert training.config._attn_implementation == "sdpa"


def test_weights_and_gradients_are_left_alone(training: PreTrainedModel) -> None:
    training(IDS, labels=IDS).loss.backward()
    before = [(p.detach().clone(), p.grad.clone()) for p in training.parameters() if p.grad is not None]
    with quiet(training), torch.no_grad():
        training(IDS)
    after = [(p, p.grad) for p in training.parameters() if p.grad is not None]
    assert all(torch.equal(a, b) and torch.equal(c, d) for (a, c), (b, d) in zip(before, after, strict=True))


def test_what_a_module_kept_in_inference_mode_trains_afterwards(training: PreTrainedModel) -> None:
    norm = training.model.norm
    with quiet(training), torch.inference_mode():
        norm.register_buffer("kept", torch.full((64,), 2.0), persistent=False)
        norm.noted = torch.full((64,), 3.0)
    (norm.weight * norm.kept * norm.noted).sum().backward()
    assert torch.equal(norm.weight.grad, torch.full((64,), 6.0))


def operators(model: PreTrainedModel) -> set[str]:
    """Names of the operators of a forward over 1,600 tokens, without gradients."""
    with torch.no_grad(), torch.profiler.profile() as profile:
        model(input_ids=torch.full((8, 200), 20))
    return {event.name for event in profile.events()}


@pytest.mark.skipif(not has_onednn(), reason="this torch has no oneDNN")
def test_large_products_go_to_onednn_inside_and_only_there(training: PreTrainedModel) -> None:
    with quiet(training):
        inside = operators(training)
    assert "mkldnn::_linear_pointwise" in inside
    assert "mkldnn::_linear_pointwise" not in operators(training)
