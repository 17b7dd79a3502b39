"""Packages that a recipe needs and that are not there are named before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.errors import UserError
from recipes.loader import load
from recipes.schema import Recipe
from recipes.trainer_fields import CHOICES
from tests.train.runs import small
from train.packages import IN_TORCH, OPTIMIZERS, check_packages


def recipe(*more: str) -> Recipe:
    return load(small("full", Path("run"), Path("cache"), *more))


@pytest.mark.parametrize(
    ("key", "package"),
    [
        ("trainer.optim=paged_adamw_8bit", "bitsandbytes"),
        ("trainer.optim=galore_adamw", "galore-torch"),
        ("trainer.optim=stable_adamw", "torch-optimi"),
        ("model.attention=flash_attention_2", "flash-attn"),
        ("trainer.report_to=mlflow", "mlflow"),
    ],
)
def test_a_missing_package_is_named_with_the_key(key: str, package: str) -> None:
    with pytest.raises(UserError, match=f"{key} needs {package}, which is not installed; pip install {package}"):
        check_packages(recipe(key), has=lambda module: False)


def test_what_is_there_passes() -> None:
    check_packages(recipe("trainer.optim=paged_adamw_8bit", "model.attention=flash_attention_2"), has=lambda _: True)


def test_each_tracker_that_is_missing_has_its_line() -> None:
    with pytest.raises(UserError) as refused:
        check_packages(recipe("trainer.report_to=[tensorboard, wandb, trackio]"), has=lambda module: False)
    assert [line.split(",")[0] for line in str(refused.value).splitlines()] == [
        "trainer.report_to=tensorboard needs tensorboard",
        "trainer.report_to=trackio needs trackio",
    ]


def test_either_package_of_tensorboard_does() -> None:
    check_packages(recipe("trainer.report_to=tensorboard"), has=lambda module: module == "tensorboardX")


def test_the_default_needs_no_package() -> None:
    check_packages(recipe(), has=lambda module: False)


def test_every_optimizer_that_a_recipe_may_name_is_in_one_of_the_lists() -> None:
    named = [*IN_TORCH, *(name for _, names in OPTIMIZERS.values() for name in names)]
    assert sorted(named) == sorted(CHOICES["optim"])
