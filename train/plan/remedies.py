"""Finds keys that make a run fit: each change is tried alone, then together with the earlier ones."""

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
    """Arguments to add to the command, the resulting peak of a rank, and whether the run then fits."""

    keys: tuple[str, ...]
    peak_bytes: int
    fits: bool


class Retry(Protocol):
    """The memory of the same run with other keys (UserError if they are refused), and whether it fits."""

    def memory_with(self, keys: Sequence[str]) -> MemoryEstimate: ...

    def fits(self, memory: MemoryEstimate) -> bool: ...


def remedies(recipe: Recipe, peak: str, retry: Retry) -> tuple[Remedy, ...]:
    """Every change alone; if none suffices, the first n of them together, until the run fits or no change is left.

    `peak` is the name of the moment with the most memory.
    """
    single = [remedy for keys in changes(recipe, peak) if (remedy := _tried(keys, retry))]
    if any(remedy.fits for remedy in single):
        return tuple(single)
    together: dict[str, str] = {}  # by name: a later change overrides a key's value
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
    """Changes that can help, starting with those that affect training least."""
    zero, batch = recipe.zero, Batch.of(recipe.trainer)
    if "sweep" in peak and recipe.sweep.engine.memory_gb is not None:
        yield (f"sweep.engine.memory_gb={recipe.sweep.engine.memory_gb / 2:g}",)
    if batch.micro_batch > 1:  # keeps the global batch
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
