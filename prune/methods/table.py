"""The method of each recipe section."""

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
"""recipe section -> the method's constructor"""


def method_of(section: PruneSection) -> Method:
    """The method of `section`, with its settings."""
    return METHODS[type(section)](section)


def check_fits(method: Method, config: Any) -> None:
    """Raises UserError if the method cannot be applied to a model of this config. Needs no weights."""
    layers = getattr(config, "num_hidden_layers", None)
    if not isinstance(layers, int):
        raise UserError(
            f"prune: the config of model type {config.model_type!r} has no number of layers; only text models can be "
            "cut, so save its text model on its own"
        )
    method.check(layers)
    if isinstance(method, Narrowing):
        method.check_config(config)


def expected_values(method: Method, config: Any) -> dict[str, Any]:
    """The config values of the pruned model. They depend on the number of removed layers only, so a method that
    measures need not run here; if a width depends on measurements, it is the largest possible."""
    values = cut_values(config, range(int(config.num_hidden_layers) - method.count))
    return values | (method.config_values(config) if isinstance(method, Narrowing) else {})
