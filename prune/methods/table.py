"""Which method a section of the recipe stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from prune.families import cut_values
from prune.methods.block_distance import BlockDistance
from prune.methods.laco import LaCo
from prune.methods.layers import Layers
from prune.methods.low_rank import LowRank
from prune.methods.method import Method, Narrowing
from prune.methods.perplexity import Perplexity
from prune.methods.shortgpt import ShortGPT
from prune.methods.tail import Tail
from prune.methods.width import Width
from recipes.errors import UserError
from recipes.prune import (
    BlockDistancePrune,
    LaCoPrune,
    LayersPrune,
    LowRankPrune,
    PerplexityPrune,
    PruneSection,
    ShortGPTPrune,
    TailPrune,
    WidthPrune,
)

METHODS: Mapping[type, Callable[[Any], Method]] = {
    TailPrune: Tail,
    LayersPrune: Layers,
    ShortGPTPrune: ShortGPT,
    PerplexityPrune: Perplexity,
    BlockDistancePrune: BlockDistance,
    LaCoPrune: LaCo,
    WidthPrune: Width,
    LowRankPrune: LowRank,
}
"""section of the recipe: what makes its method from it"""


def method_of(section: PruneSection) -> Method:
    """The method that `section` chooses, with its settings."""
    return METHODS[type(section)](section)


def check_fits(method: Method, config: Any) -> None:
    """UserError where the method cannot be applied to a model of this config. Needs no weights."""
    layers = getattr(config, "num_hidden_layers", None)
    if not isinstance(layers, int):
        raise UserError(
            f"prune: a model of type {config.model_type!r} has no number of layers in its config; only text models are "
            "cut, save its text model alone"
        )
    method.check(layers)
    if isinstance(method, Narrowing):
        method.check_config(config)


def expected_values(method: Method, config: Any) -> dict[str, Any]:
    """The config values of the pruned model. Which layers go matters for their number only, so a method that measures
    needs no measurement here; where a width depends on one, it is the largest possible."""
    values = cut_values(config, range(int(config.num_hidden_layers) - method.count))
    return values | (method.config_values(config) if isinstance(method, Narrowing) else {})
