"""Which method a section of the recipe stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from prune.methods.layers import Layers
from prune.methods.method import Method
from prune.methods.shortgpt import ShortGPT
from prune.methods.tail import Tail
from recipes.prune import LayersPrune, PruneSection, ShortGPTPrune, TailPrune

METHODS: Mapping[type, Callable[[Any], Method]] = {
    TailPrune: Tail,
    LayersPrune: Layers,
    ShortGPTPrune: ShortGPT,
}
"""section of the recipe: what makes its method from it"""


def method_of(section: PruneSection) -> Method:
    """The method that `section` chooses, with its settings."""
    return METHODS[type(section)](section)
