"""Which keys would make a run fit: each change is tried alone, then together with those before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from recipes.errors import UserError
from recipes.schema import Recipe
from train.arguments import checkpoints_activations
from train.batch import Batch
from train.plan.memory import MemoryEstimate

SHORTEST_ROW_TOKENS = 8


@dataclass(frozen=True)
class Remedy:
    """Arguments to add to the command, what a rank then needs at its peak, and whether all fits."""

    keys: tuple[str, ...]
    peak_bytes: int
    fits: bool


class Retry(Protocol):
    """The memory of the same run under other keys (UserError where they are refused), and whether it is enough."""

    def memory_with(self, keys: Sequence[str]) -> MemoryEstimate: ...

    def fits(self, memory: MemoryEstimate) -> bool: ...


def remedies(recipe: Recipe, peak: str, retry: Retry) -> tuple[Remedy, ...]:
    """Every change alone; where none suffices, more and more of them together until all fits or none is left.

    `peak` is the name of the moment that takes most.
    """
    single = [remedy for keys in changes(recipe, peak) if (remedy := _tried(keys, retry))]
    if any(remedy.fits for remedy in single):
        return tuple(single)
    together: dict[str, str] = {}  # by name: a later change gives a key its value
    combined: Remedy | None = None
    for remedy in single:
        together |= {key.partition("=")[0]: key for key in remedy.keys}
        combined = _tried(tuple(together.values()), retry)
        if combined is not None and combined.fits:
            break
    return (*single, combined) if combined is not None else tuple(single)


def _tried(keys: tuple[str, ...], retry: Retry) -> Remedy | None:
    try:
        memory = retry.memory_with(keys)
    except UserError:
        return None
    return Remedy(keys, memory.peak.total, retry.fits(memory))


def changes(recipe: Recipe, peak: str) -> Iterator[tuple[str, ...]]:
    """Changes that can help, those that change the least about the training first."""
    zero, batch = recipe.zero, Batch.of(recipe.trainer)
    if "sweep" in peak and recipe.sweep.engine.memory_gb is not None:
        yield (f"sweep.engine.memory_gb={recipe.sweep.engine.memory_gb / 2:g}",)
    if batch.micro_batch > 1:  # the global batch stays
        steps = batch.micro_batch * batch.accumulation_steps
        yield ("trainer.per_device_train_batch_size=1", f"trainer.gradient_accumulation_steps={steps}")
    if not checkpoints_activations(recipe.trainer):
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
    yield (f"data.max_length_tokens={max(SHORTEST_ROW_TOKENS, recipe.data.max_length_tokens // 2)}",)
