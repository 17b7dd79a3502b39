"""How a pruned model is made: one section for each method (`prune/methods` has one file for each)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from recipes.section import Section


class TailPrune(Section):
    method: Literal["tail"] = Field(description="remove the last layers (reverse-order pruning)")
    layers: int = Field(ge=1, description="how many layers to remove")


class LayersPrune(Section):
    method: Literal["layers"] = Field(description="remove the layers that are named")
    remove: list[int] = Field(min_length=1, description="0-based indices in the unpruned model")


class ShortGPTPrune(Section):
    method: Literal["shortgpt"] = Field(
        description="remove the layers of least block influence (ShortGPT, arXiv 2403.03853)"
    )
    layers: int = Field(ge=1, description="how many layers to remove")
    calibration_traces: int = Field(
        default=128, ge=1, description="traces of the recipe's data on which influence is measured"
    )


PruneSection = Annotated[TailPrune | LayersPrune | ShortGPTPrune, Field(discriminator="method")]
