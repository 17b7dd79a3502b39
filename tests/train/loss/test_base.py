"""How a loss takes the place of a forward, and which positions it sees."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from trl.trainer.utils import add_fused_lm_head

from tests.prune.models import TOKENS, build
from tests.train.loss.losses import LABELS, taken
from train.loss.base import inside_forward, labelled_positions


def test_the_positions_before_labels_are_taken() -> None:
    model = build("qwen3")
    hidden, targets = labelled_positions(model, {"input_ids": TOKENS, "labels": LABELS})
    states = model.model(input_ids=TOKENS).last_hidden_state
    # labels stand at 4 to the end of row 0, and at 4 to 7 of row 1
    assert torch.equal(hidden, torch.cat([states[0, 3:-1], states[1, 3:7]]))
    assert torch.equal(targets, torch.cat([TOKENS[0, 4:], TOKENS[1, 4:8]]))


def test_the_wrapper_is_called_around_the_loss() -> None:
    model, order = build("qwen3"), []

    class Wrapper(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, **batch: Any) -> Any:
            order.append("before")
            result = self.inner(**batch)
            order.append("after")
            return result

    def loss(inner: Any, batch: dict[str, Any]) -> Any:
        order.append("loss")
        return inner is model, batch["labels"]

    batch = {"input_ids": TOKENS, "labels": LABELS}
    assert inside_forward(Wrapper(), model, loss, batch)[0] is True
    assert order == ["before", "loss", "after"]


def test_other_calls_are_as_before() -> None:
    model = build("qwen3")
    before = model(input_ids=TOKENS).logits
    taken(lambda inner, batch: inner(input_ids=TOKENS), model)  # type: ignore[arg-type, return-value]
    assert torch.equal(model(input_ids=TOKENS).logits, before)


def test_a_forward_that_trl_has_put_there_is_put_back() -> None:
    model = build("qwen3")
    add_fused_lm_head(model)
    theirs = model.forward
    taken(lambda inner, batch: inner(input_ids=TOKENS), model)  # type: ignore[arg-type, return-value]
    assert model.forward == theirs


def test_after_a_fault_the_forward_is_the_models_own() -> None:
    model = build("qwen3")

    def broken(inner: Any, batch: dict[str, Any]) -> Any:
        raise KeyError("broken")

    with pytest.raises(KeyError):
        taken(broken, model)
    assert "forward" not in vars(model)
