"""Values that the libraries refuse are found before anything is loaded, and those that work are left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from recipes.errors import UserError
from recipes.loader import load
from recipes.schema import Recipe
from tests.train.runs import small
from train.settings import check_settings


def recipe(**trainer: Any) -> Recipe:
    made: Recipe = load(small("lora", Path("run"), Path("cache"), "zero.stage=0"))
    return made.changed(trainer={**made.trainer, **trainer})


@pytest.mark.parametrize(
    ("trainer", "said"),
    [
        ({"adam_beta1": 1.0}, "trainer.optim=adamw_torch_fused: cannot work: Invalid beta parameter"),
        ({"adam_epsilon": -1.0, "optim": "adamw_torch"}, "trainer.optim=adamw_torch: cannot work: Invalid epsilon"),
        ({"optim_args": "x"}, "trainer.optim=adamw_torch_fused: cannot work: "),
        ({"lr_scheduler_type": "cosine_with_min_lr"}, "trainer.lr_scheduler_type=cosine_with_min_lr: cannot work: One"),
        ({"lr_scheduler_type": "warmup_stable_decay"}, "missing 1 required positional argument: 'num_decay_steps'"),
        ({"lr_scheduler_type": "linear", "lr_scheduler_kwargs": {"a": 1}}, "unexpected keyword argument 'a'"),
        (
            {"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"lr_end": 1.0}},
            "trainer.lr_scheduler_type=polynomial: cannot work: lr_end",
        ),
        (
            {"lr_scheduler_type": "inverse_sqrt", "lr_scheduler_kwargs": {"timescale": -2.0}},
            "trainer.lr_scheduler_type=inverse_sqrt: cannot work: ",
        ),
        ({"save_steps": 2.5}, "trainer: cannot work: --save_steps must be an integer if bigger than 1"),
        ({"torch_empty_cache_steps": 0}, "trainer: cannot work: `torch_empty_cache_steps` must be an integer"),
        ({"accelerator_config": {"foo": 1}}, "trainer: cannot work: .*unexpected keyword argument 'foo'"),
        ({"dataloader_prefetch_factor": 2}, "trainer: cannot work: --dataloader_prefetch_factor"),
        ({"debug": "bad"}, "trainer: cannot work: bad is not a valid DebugOption"),
    ],
)
def test_what_a_library_refuses_is_refused_in_its_words(trainer: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_settings(recipe(**trainer))


@pytest.mark.parametrize(
    "trainer",
    [
        {},
        {"max_steps": -1, "num_train_epochs": 3.0},
        {"max_steps": 1, "warmup_steps": 0.1},
        {"warmup_steps": 100},
        {"lr_scheduler_type": "constant"},
        {"lr_scheduler_type": "inverse_sqrt"},
        {"lr_scheduler_type": "warmup_stable_decay", "lr_scheduler_kwargs": {"num_decay_steps": 2}},
        {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr_rate": 0.1}},
        {"optim": "adafactor"},
        {"optim": "sgd", "optim_args": "momentum=0.9"},
        {"optim": "adamw_torch", "adam_beta1": 0.0},
        {"optim": "lion_8bit"},
    ],
)
def test_what_works_is_sound(trainer: dict[str, Any]) -> None:
    check_settings(recipe(**trainer))


def test_nothing_random_is_drawn() -> None:
    before = torch.random.get_rng_state()
    check_settings(recipe())
    assert torch.equal(torch.random.get_rng_state(), before)
