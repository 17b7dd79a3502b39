"""How a pruned model is made: one section for each method (`prune/methods` has one file for each)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

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


class WidthPrune(Section):
    method: Literal["width"] = Field(
        description="remove the channels of least activation energy from every gated MLP; no layer goes"
    )
    width: int | None = Field(default=None, ge=1, description="channels of each MLP that stay; or give share")
    share: float | None = Field(
        default=None, gt=0, lt=1, description="share of the channels that stays, rounded down to the multiple"
    )
    multiple: int = Field(default=64, ge=1, description="of what a width must be a multiple; GPUs want 64 or 128")
    widths: Literal["uniform", "by_layer"] = Field(
        default="uniform",
        description="uniform: one width for all layers, and a smaller file; by_layer: the same number of channels in "
        "all, shared out where energy is, stored with zeros up to the widest layer, so the file hardly shrinks",
    )
    calibration_traces: int = Field(
        default=128, ge=1, description="traces of the recipe's data on which activations are measured"
    )

    @model_validator(mode="after")
    def _one_way_to_say_how_wide(self) -> Self:
        if (self.width is None) == (self.share is None):
            given = "neither" if self.width is None else "both"
            raise ValueError(f"give either width (channels) or share (of them), got {given}")
        if self.width is not None and self.width % self.multiple:
            below = self.width // self.multiple * self.multiple
            near = f"{below} or {below + self.multiple}" if below else f"{self.multiple}"
            raise ValueError(
                f"prune.width={self.width}: not a multiple of prune.multiple={self.multiple}; write {near}, or a "
                "smaller multiple"
            )
        return self


class LowRankPrune(Section):
    method: Literal["low_rank"] = Field(
        description="lower the rank of the layers' matrices, weighed by activations (after ASVD, arXiv 2312.05821); "
        "stored multiplied out, so that the effect on reasoning shows but nothing is saved"
    )
    share: float = Field(
        gt=0, lt=1, description="share of these matrices' parameters that factors of such ranks would have"
    )
    multiple: int = Field(default=64, ge=1, description="of what a rank must be a multiple; GPUs want 64 or 128")
    calibration_traces: int = Field(
        default=128, ge=1, description="traces of the recipe's data on which activations are measured"
    )


PruneSection = Annotated[
    TailPrune | LayersPrune | ShortGPTPrune | WidthPrune | LowRankPrune, Field(discriminator="method")
]
