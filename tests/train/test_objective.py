"""The loss section beside the rest of a recipe: what is refused before anything is loaded, and what a run gets."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from recipes.errors import UserError
from recipes.loader import load
from recipes.schema import Recipe
from runtime.ranks import ALONE
from tests.train.configs import QWEN3_8B
from tests.train.runs import MODEL, small
from train.loss.choose import NegativeLogLikelihoodOfRun
from train.objective import check_loss, distillation, loss_of_run

HAS_BITSANDBYTES = find_spec("bitsandbytes") is not None


def recipe(*overrides: str) -> Recipe:
    made: Recipe = load(small("distill", Path("run"), Path("cache"), "zero.stage=0", *overrides))
    return made


REFUSED = {
    "trainer.loss_type=dft": "loss.name=distill with trainer.loss_type=dft: that field selects another loss",
    "trainer.label_smoothing_factor=0.1": "loss.name=distill with trainer.label_smoothing_factor=0.1",
    "trainer.torch_compile=true": "loss.name=distill with trainer.torch_compile=True",
    "loss.teacher.zero=true": "loss.teacher.zero=true with zero.stage=0: a teacher can only be sharded by ZeRO-3",
}


@pytest.mark.parametrize(("override", "said"), REFUSED.items())
def test_what_does_not_go_together_is_refused(override: str, said: str) -> None:
    with pytest.raises(UserError) as refusal:
        check_loss(recipe(override))
    assert str(refusal.value).startswith(said)


@pytest.mark.skipif(HAS_BITSANDBYTES, reason="bitsandbytes is installed")
def test_a_teacher_in_few_bits_needs_bitsandbytes() -> None:
    with pytest.raises(UserError, match=r"loss\.teacher\.weights=4bit needs bitsandbytes, which is not installed"):
        check_loss(recipe("loss.teacher.weights=4bit"))


def test_a_teacher_with_another_vocabulary_is_refused(tmp_path: Path) -> None:
    config = json.loads((MODEL / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "vocab_size": config["vocab_size"] - 1}))
    with pytest.raises(UserError, match=r"loss\.name=distill: model\.unpruned has \d+ tokens and model\.pruned \d+;"):
        check_loss(recipe("prune=null", f"model.pruned={tmp_path}"))


def test_a_mixture_of_experts_needs_its_router_loss_turned_off(tmp_path: Path) -> None:
    moe = {**QWEN3_8B, "model_type": "qwen3_moe", "architectures": ["Qwen3MoeForCausalLM"]}
    (tmp_path / "config.json").write_text(json.dumps(moe))
    with pytest.raises(UserError, match=r"set trainer\.router_aux_loss_coef=0\.0"):
        check_loss(recipe(f"model.unpruned={tmp_path}"))
    check_loss(recipe(f"model.unpruned={tmp_path}", "trainer.router_aux_loss_coef=0.0"))


def test_the_plain_likelihood_is_never_refused() -> None:
    check_loss(load(small("lora", Path("run"), Path("cache"), "trainer.loss_type=dft")))


def test_without_weight_no_teacher_is_asked() -> None:
    plain = recipe("loss.weight=0", "loss.nll_weight=1")
    assert distillation(plain) is None
    assert isinstance(loss_of_run(plain, "", None, ALONE), NegativeLogLikelihoodOfRun)  # type: ignore[arg-type]
