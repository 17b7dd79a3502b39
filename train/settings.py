"""Tries the trainer section before anything is loaded: the real SFTConfig, optimizer and learning-rate schedule.

The libraries reject many values only on construction, which in a run comes after pruning and both reference sweeps. So
these objects are built here, on a parameter of two numbers; an exception means a mistake in the recipe.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import Trainer, get_scheduler
from trl import SFTConfig

from recipes.errors import UserError
from recipes.schema import Recipe
from train.arguments import config_fields
from train.batch import setting
from train.packages import IN_TORCH

TRIED_STEPS = 1000
"""steps of a tried schedule if epochs determine them; their number is unknown before the traces are read"""


class Unplaced(SFTConfig):
    """SFTConfig that initialises no device and no processes; its checks of fields do not depend on them."""

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")


def check_settings(recipe: Recipe) -> None:
    """UserError, with the library's message, if a value of the trainer section cannot work."""
    with _named("trainer"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the run itself shows them
        arguments = Unplaced(**config_fields(recipe, Path("unused")), deepspeed=None)
    with _named(f"trainer.optim={setting(recipe.trainer, 'optim')}"):
        optimizer = _optimizer(arguments)
    limit = int(setting(recipe.trainer, "max_steps"))
    with _named(f"trainer.lr_scheduler_type={arguments.lr_scheduler_type.value}"):
        _try_schedule(arguments, optimizer, limit if limit > 0 else TRIED_STEPS)


@contextmanager
def _named(keys: str) -> Iterator[None]:
    """Turns exceptions inside the block into a UserError that names the keys."""
    try:
        yield
    except Exception as fault:  # a library may raise anything for input that it cannot use
        said = " ".join(str(fault).split())[:300] or type(fault).__name__
        raise UserError(f"{keys}: cannot work: {said}") from None


def _optimizer(arguments: SFTConfig) -> torch.optim.Optimizer:
    """The section's optimizer if it is one of torch's; others need a real model, or their own devices."""
    parameter = torch.nn.Parameter(torch.zeros(2))
    if arguments.optim.value not in IN_TORCH:
        return torch.optim.SGD([parameter], lr=arguments.learning_rate)
    kind, values = Trainer.get_optimizer_cls_and_kwargs(arguments)
    made: torch.optim.Optimizer = kind([parameter], **values)
    return made


def _try_schedule(arguments: SFTConfig, optimizer: torch.optim.Optimizer, steps: int) -> None:
    """Builds the schedule and evaluates it from the first step to the last."""
    warmup = arguments.get_warmup_steps(steps)
    schedule = get_scheduler(arguments.lr_scheduler_type, optimizer, warmup, steps, arguments.lr_scheduler_kwargs)
    for factor in getattr(schedule, "lr_lambdas", ()):
        for step in sorted({0, 1, warmup, warmup + 1, (warmup + steps) // 2, steps - 1}):
            if not math.isfinite(factor(step)) or factor(step) < 0:
                raise ValueError(f"the learning rate at step {step} of {steps} would be {factor(step)} of its peak")
