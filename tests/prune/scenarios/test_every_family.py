"""The matrix of families: a cut is the uncut model with these layers bypassed, to the bit, and so is its reload.

The bypass knows nothing of configs. The sweep of each family is in tests/eval/scenarios/test_every_family.py, the whole
road of ten in tests/train/scenarios/test_roads.py.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as t
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from prune.forward import measuring
from prune.inspect import check_folder
from prune.methods.perplexity import losses_without
from prune.plan import PrunePlan
from prune.surgery import apply_plan
from recipes.errors import UserError
from tests.prune.every_family import EVERY, MAMBA, NO_HEAD_SIZE, SWEPT, make
from tests.prune.models import LAYERS, TOKENS

CUTS = {"tail": (4, 5), "two apart": (1, 3), "first": (0,)}
FAST = ["qwen3_moe_by_step", "deepseek_v3", "qwen2_mixed", *(name for name in EVERY if name not in SWEPT)]
"""layers that differ in kind are tried each time, the others in the slow tier"""


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[] if name in FAST else [pytest.mark.slow]) for name in EVERY],
)
def uncut(request: pytest.FixtureRequest) -> PreTrainedModel:
    return make(request.param)


def without(uncut: PreTrainedModel, removed: tuple[int, ...]) -> PreTrainedModel:
    return apply_plan(deepcopy(uncut), PrunePlan(method="by hand", layers=LAYERS, removed=removed))


def logits(model: PreTrainedModel) -> torch.Tensor:
    with torch.inference_mode():
        out: torch.Tensor = model(input_ids=TOKENS, use_cache=False).logits
    return out


def bypassed(uncut: PreTrainedModel, removed: tuple[int, ...]) -> torch.Tensor:
    """Logits of the uncut model, in which the removed layers give back what they are given."""

    def as_given(module: Any, given: Any, named: Any, out: Any) -> Any:
        hidden = given[0] if given else named["hidden_states"]
        return (hidden, *out[1:]) if isinstance(out, tuple) else hidden

    handles = [uncut.model.layers[i].register_forward_hook(as_given, with_kwargs=True) for i in removed]
    try:
        return logits(uncut)
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize("removed", CUTS.values(), ids=CUTS)
def test_a_cut_is_the_uncut_model_with_the_layers_bypassed(uncut: PreTrainedModel, removed: tuple[int, ...]) -> None:
    assert torch.equal(logits(without(uncut, removed)), bypassed(uncut, removed))


def test_a_reload_is_the_cut_model(uncut: PreTrainedModel, tmp_path: Path) -> None:
    cut = without(uncut, (1, 2))
    cut.save_pretrained(tmp_path)
    check_folder(tmp_path)
    loaded, report = t.AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    # where a matrix lies in memory moves a product's last bit
    torch.testing.assert_close(logits(loaded.eval()), logits(cut), rtol=0, atol=1e-5)


def test_the_cache_of_a_cut_model_follows_its_layers(uncut: PreTrainedModel) -> None:
    cut = without(uncut, (0, 3))
    with torch.inference_mode():
        first = cut(input_ids=TOKENS[:, :-1], use_cache=True)
        last = cut(input_ids=TOKENS[:, -1:], past_key_values=first.past_key_values, use_cache=True).logits[:, -1]
    torch.testing.assert_close(last, logits(cut)[:, -1], rtol=0, atol=1e-4)


def test_the_loss_without_a_layer_is_that_of_the_cut_model(uncut: PreTrainedModel) -> None:
    batch = {"input_ids": TOKENS, "attention_mask": torch.ones_like(TOKENS), "labels": TOKENS}
    with measuring(uncut):
        losses = losses_without(uncut, [batch], [TOKENS[:, 1:]], removed=[], block=2)
        expected = cross_entropy(logits(without(uncut, (2, 3)))[:, :-1].flatten(0, 1), TOKENS[:, 1:].flatten())
    assert losses[2, 3] == pytest.approx(float(expected), rel=1e-5)


def test_a_config_that_does_not_take_a_cut_is_a_mistake_in_words() -> None:
    config = t.BambaConfig(**NO_HEAD_SIZE, **{k: v for k, v in MAMBA.items() if k != "layer_types"})
    config.attn_layer_indices = [1, 4]
    model = t.BambaForCausalLM(config)
    with pytest.raises(UserError, match="'bamba' cannot be cut like this"):
        apply_plan(model, PrunePlan(method="by hand", layers=LAYERS, removed=(5,)))
