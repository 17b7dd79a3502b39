"""Which keys would make a run fit: each is tried alone, then together with those before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from recipes.errors import UserError
from recipes.schema import Recipe


@dataclass(frozen=True)
class Remedy:
    """Arguments to add to the command, what a rank then needs at its peak, and whether all fits."""

    keys: tuple[str, ...]
    peak_bytes: int
    fits: bool


def remedies(
    recipe: Recipe, peak: str, again: Callable[[Sequence[str]], Any], misfits: Callable[[Any], bool]
) -> tuple[Remedy, ...]:
    """Every change alone; where none suffices, more and more of them together until all fits or none is left.

    again: the estimate under other keys (UserError where they cannot be); misfits: whether it exceeds a limit.
    """
    alone = [each for keys in changes(recipe, peak) if (each := _tried(keys, again, misfits))]
    if any(each.fits for each in alone):
        return tuple(alone)
    together: dict[str, str] = {}
    for each in alone:
        together |= {key.partition("=")[0]: key for key in each.keys}
        found = _tried(tuple(together.values()), again, misfits)
        if found is not None and found.fits:
            return (*alone, found)
    return (*alone, found) if together and found is not None else tuple(alone)


def _tried(
    keys: tuple[str, ...], again: Callable[[Sequence[str]], Any], misfits: Callable[[Any], bool]
) -> Remedy | None:
    try:
        estimate = again(keys)
    except UserError:
        return None
    return Remedy(keys, estimate.peak.total, not misfits(estimate))


def changes(recipe: Recipe, peak: str) -> Iterator[tuple[str, ...]]:
    """Changes that can help, those that change the least about the training first."""
    trainer, zero = recipe.trainer, recipe.zero
    if "sweep" in peak and recipe.sweep.engine.memory_gb is not None:
        yield (f"sweep.engine.memory_gb={recipe.sweep.engine.memory_gb / 2:g}",)
    rows, steps = (
        int(trainer.get(key, usual))
        for key, usual in (("per_device_train_batch_size", 8), ("gradient_accumulation_steps", 1))
    )
    if rows > 1:
        yield ("trainer.per_device_train_batch_size=1", f"trainer.gradient_accumulation_steps={rows * steps}")
    if trainer.get("gradient_checkpointing", trainer.get("activation_checkpointing", True)) is False:
        yield ("trainer.gradient_checkpointing=true",)
    for stage in range(max(2, zero.stage + 1), 4):
        yield (f"zero.stage={stage}",)
    if zero.offload_optimizer == "none":
        yield (f"zero.stage={max(2, zero.stage)}", "zero.offload_optimizer=cpu")
    if zero.offload_parameters == "none":
        yield ("zero.stage=3", "zero.offload_optimizer=cpu", "zero.offload_parameters=cpu")
    if recipe.model.dtype == "float32":
        yield ("model.dtype=bfloat16",)
    if recipe.adapter.method == "none":
        yield ("adapter.method=lora",)
    yield (f"data.max_length_tokens={max(8, recipe.data.max_length_tokens // 2)}",)
