"""The loss of a run: the recipe's `loss` section, checked before anything is loaded, and built once the pruned model
exists."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from data_prep.fingerprint import fingerprint
from data_prep.models import load_config
from data_prep.prepared.prepare import Prepared
from data_prep.prepared.teaching import Teaching, open_teaching
from recipes.errors import UserError
from recipes.loss import DistillLoss, NllLoss
from recipes.schema import Recipe
from runtime.ranks import Ranks, on_first_rank
from train.batch import setting
from train.loss.choose import (
    Column,
    DistillationOfRun,
    LossOfRun,
    NegativeLogLikelihoodOfRun,
    StoredDistillationOfRun,
)
from train.loss.positions import TEACHER_IDS, TEACHER_LOGPROBS, TOKEN_WEIGHTS
from train.run import say
from train.teachers import open_teacher
from train.token_weights import measure_damage, open_damage, token_weights

LEFT_TO_TRL: Mapping[str, Any] = {"loss_type": "nll", "label_smoothing_factor": 0.0, "torch_compile": False}
"""fields of the trainer section, and the values that do not select a loss of TRL"""


def distillation(recipe: Recipe) -> DistillLoss | None:
    """The section if the loss needs a teacher; None with weight 0, which is the plain likelihood."""
    section = recipe.loss
    return None if isinstance(section, NllLoss) or section.weight == 0 else section


def check_loss(recipe: Recipe) -> None:
    """UserError if the loss section contradicts the rest of the recipe, or needs a package that is not installed."""
    section = recipe.loss
    if isinstance(section, NllLoss):
        return
    for field, usual in LEFT_TO_TRL.items():
        value = setting(recipe.trainer, field)
        if value != usual:
            raise UserError(
                f"loss.name={section.name} with trainer.{field}={value}: that field selects another loss; leave it out"
            )
    _check_teacher(section, recipe)
    _check_models(recipe)


def _check_teacher(section: DistillLoss, recipe: Recipe) -> None:
    teacher = section.teacher
    if teacher.zero and recipe.zero.stage != 3:
        raise UserError(
            f"loss.teacher.zero=true with zero.stage={recipe.zero.stage}: a teacher can only be sharded by ZeRO-3; use "
            "zero.stage=3, or keep it unsharded (loss.teacher.zero=false), in fewer bits, or in main memory "
            "(loss.teacher.offload=cpu)"
        )
    if teacher.weights != "model" and find_spec("bitsandbytes") is None:
        raise UserError(
            f"loss.teacher.weights={teacher.weights} needs bitsandbytes, which is not installed; pip install "
            "'chainmend[qlora]', or use loss.teacher.weights=model"
        )


def _check_models(recipe: Recipe) -> None:
    unpruned = load_config(recipe.model.unpruned, recipe.model).get_text_config()
    coefficient = recipe.trainer.get("router_aux_loss_coef", "TRL's default")
    if hasattr(unpruned, "output_router_logits") and coefficient != 0:
        raise UserError(
            f"loss.name=distill with trainer.router_aux_loss_coef={coefficient}: TRL's router loss "
            "would replace the divergence; set trainer.router_aux_loss_coef=0.0"
        )
    if recipe.model.pruned is None:
        return
    pruned = load_config(recipe.model.pruned, recipe.model).get_text_config()
    if pruned.vocab_size != unpruned.vocab_size:
        raise UserError(
            f"loss.name=distill: model.unpruned has {unpruned.vocab_size:,} tokens and model.pruned "
            f"{pruned.vocab_size:,}; a teacher needs the student's vocabulary: use loss.name=nll, or a pruned model "
            "that kept its vocabulary"
        )


def check_stored(recipe: Recipe, prepared: Prepared) -> None:
    """UserError if stored logits are of other traces or another teacher."""
    section = distillation(recipe)
    if section is not None and section.teacher.logits is not None:
        _teaching(section, recipe, prepared)


def _teaching(section: DistillLoss, recipe: Recipe, prepared: Prepared) -> Teaching:
    assert section.teacher.logits is not None
    expected = {"teacher": fingerprint(recipe.model.unpruned), "temperature": section.temperature}
    return open_teaching(section.teacher.logits, prepared, expected)


def loss_of_run(recipe: Recipe, pruned: str, prepared: Prepared, ranks: Ranks) -> LossOfRun:
    """The loss with its teacher and its token weights; all ranks must call it."""
    section = distillation(recipe)
    if section is None:
        return NegativeLogLikelihoodOfRun()
    columns: dict[str, Column] = {}
    if section.tokens != "all":
        model, cache = recipe.model, recipe.data.cache_dir
        on_first_rank(
            ranks,
            lambda: bool(measure_damage(model, pruned, prepared, cache, lambda text: say(ranks, text))),
        )
        columns[TOKEN_WEIGHTS] = token_weights(section, open_damage(model, pruned, prepared, cache))
    if section.teacher.logits is None:
        opener = open_teacher(section.teacher, recipe.model)
        return DistillationOfRun(section, opener, fingerprint(recipe.model.unpruned), columns)
    teaching = _teaching(section, recipe, prepared)
    columns |= {TEACHER_IDS: teaching.ids, TEACHER_LOGPROBS: teaching.logprobs}
    return StoredDistillationOfRun(section, teaching.facts, columns)
