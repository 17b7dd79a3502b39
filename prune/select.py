"""Choosing the layers to remove: pure functions from counts and scores to 0-based indices in the unpruned model."""

from __future__ import annotations

from collections.abc import Sequence

from recipes.errors import UserError
from recipes.schema import LayersPrune, PruneSection, ShortGPTPrune, TailPrune


def select_tail(total: int, count: int) -> tuple[int, ...]:
    """The last `count` of `total` layers (reverse-order pruning). UserError where nothing would be kept."""
    check_count(total, count)
    return tuple(range(total - count, total))


def select_layers(total: int, remove: Sequence[int]) -> tuple[int, ...]:
    """The named layers, sorted. UserError for one named twice or outside the model, or where nothing would be kept."""
    outside = [i for i in remove if not 0 <= i < total]
    if outside:
        raise UserError(f"prune.remove: layers {outside} are not in the model, which has layers 0 to {total - 1}")
    if len(set(remove)) < len(remove):
        raise UserError(f"prune.remove: a layer is named twice in {list(remove)}; name each once")
    check_count(total, len(remove))
    return tuple(sorted(remove))


def select_by_influence(influence: Sequence[float], count: int) -> tuple[int, ...]:
    """The `count` layers of least influence, sorted by index; of equals the earlier goes first.

    Every layer is eligible, the first and the last too, as in ShortGPT (arXiv 2403.03853): their score says it.
    """
    check_count(len(influence), count)
    ranked = sorted(range(len(influence)), key=lambda i: (influence[i], i))
    return tuple(sorted(ranked[:count]))


def choose(section: PruneSection, total: int, influence: Sequence[float]) -> tuple[int, ...]:
    """The layers that `section` removes from a model of `total` layers; `influence` is read by shortgpt only."""
    match section:
        case TailPrune():
            return select_tail(total, section.layers)
        case LayersPrune():
            return select_layers(total, section.remove)
        case ShortGPTPrune():
            return select_by_influence(influence, section.layers)


def check_count(total: int, count: int) -> None:
    """UserError unless removing `count` of `total` layers removes one and keeps one."""
    if not 1 <= count < total:
        raise UserError(f"prune: {count} of {total} layers would be removed; between 1 and {total - 1} can be")
