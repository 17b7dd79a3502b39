"""The frozen model that a loss compares with."""

from __future__ import annotations

import torch

from tests.prune.models import TOKENS, build
from tests.train.loss.losses import LABELS
from train.loss.base import labelled_positions
from train.loss.teacher import Teacher, on_device

BATCH = {"input_ids": TOKENS, "labels": LABELS}


def test_it_gives_its_hidden_states_at_the_labelled_positions_without_a_graph() -> None:
    model = build("qwen3").eval()
    found = Teacher(model).hidden(dict(BATCH))
    assert torch.equal(found, labelled_positions(model, dict(BATCH))[0]) and not found.requires_grad


def test_it_is_asked_through_its_wrapper_where_it_has_one() -> None:
    model, calls = build("qwen3").eval(), []

    class Wrapper(torch.nn.Module):
        def forward(self, **batch: torch.Tensor) -> object:
            calls.append(sorted(batch))
            return model(**batch)

    found = Teacher(model, wrapper=Wrapper()).hidden(dict(BATCH))
    assert calls == [["input_ids", "labels"]] and torch.equal(found, Teacher(model).hidden(dict(BATCH)))


def test_an_offloaded_one_gives_the_same() -> None:
    model = build("qwen3").eval()
    assert torch.equal(
        Teacher(model, offloaded_from=torch.device("cpu")).hidden(dict(BATCH)), Teacher(model).hidden(dict(BATCH))
    )


def test_what_comes_to_a_device_is_let_go_and_lies_where_it_lay() -> None:
    module = torch.nn.Linear(3, 2)
    before = [tensor.data_ptr() for tensor in module.parameters()]
    with on_device(module, torch.device("cpu")):
        module.weight.data = torch.zeros(2, 3)  # as a copy on another device would be
    assert [tensor.data_ptr() for tensor in module.parameters()] == before
