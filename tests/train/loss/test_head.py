"""What families do to logits after the output layer, read from their configs; the kernels are held against it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from tests.prune.models import build
from train.loss.head import _scale, has_linear_head, head_of

SCALES = [
    ({}, 1.0),
    ({"logit_scale": 0.25}, 0.25),  # Cohere
    ({"logit_scale": None, "lm_head_multiplier": 3.0}, 3.0),  # Falcon-H1
    ({"logits_scaling": 8.0, "model_type": "granite"}, 0.125),
    ({"logits_scaling": 8.0, "model_type": "hyperclovax"}, 8.0),
]


@pytest.mark.parametrize(("config", "scale"), SCALES)
def test_the_scale_by_hand(config: dict[str, object], scale: float) -> None:
    assert _scale(SimpleNamespace(**config)) == scale


def test_a_cap_is_found() -> None:
    model = build("gemma2")
    assert head_of(model).softcap == model.config.final_logit_softcapping


def test_a_head_that_computes_something_else_is_refused() -> None:
    class Doubled(torch.nn.Linear):
        pass

    model = build("llama")
    model.set_output_embeddings(Doubled(4, 4))
    assert not has_linear_head(model)
    with pytest.raises(ValueError, match="Doubled, not a linear layer"):
        head_of(model)
