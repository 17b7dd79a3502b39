"""Which method a section of the recipe stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from prune.methods.block_distance import BlockDistance
from prune.methods.laco import LaCo
from prune.methods.layers import Layers
from prune.methods.method import Method
from prune.methods.perplexity import Perplexity
from prune.methods.shortgpt import ShortGPT
from prune.methods.tail import Tail
from recipes.prune import (
    BlockDistancePrune,
    LaCoPrune,
    LayersPrune,
    PerplexityPrune,
    PruneSection,
    ShortGPTPrune,
    TailPrune,
)

METHODS: Mapping[type, Callable[[Any], Method]] = {
    TailPrune: Tail,
    LayersPrune: Layers,
    ShortGPTPrune: ShortGPT,
    PerplexityPrune: Perplexity,
    BlockDistancePrune: BlockDistance,
    LaCoPrune: LaCo,
}
"""section of the recipe: what makes its method from it"""


def method_of(section: PruneSection) -> Method:
    """The method that `section` chooses, with its settings."""
    return METHODS[type(section)](section)
