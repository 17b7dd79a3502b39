"""How a pruned model is made: one section per method (`prune/methods` has one file per method)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from recipes.section import Section

CALIBRATION_TRACES = 128


class TracesCalibration(Section):
    source: Literal["traces"] = Field(description="the traces of the recipe's data (as without the section)")


class TextCalibration(Section):
    source: Literal["text"] = Field(description="plain text, which needs no thinking format")
    path: Path = Field(
        description="a .jsonl file of rows with `text`, or a .txt file of paragraphs with an empty line between; the "
        "first calibration_traces of them are taken"
    )
    max_tokens: int = Field(default=512, ge=2, description="longer texts are truncated to this many tokens")


class OwnThoughtsCalibration(Section):
    source: Literal["own_thoughts"] = Field(
        description="thoughts that the model to be pruned writes itself after the prompts of the recipe's traces"
    )
    max_tokens: int = Field(default=512, ge=1, description="longest thought after each prompt")
    temperature: float = Field(default=0.0, ge=0, description="sampling temperature; 0: the likeliest token each time")
    seed: int = Field(default=1, ge=0, description="seed of its sampling")


CalibrationSection = Annotated[
    TracesCalibration | TextCalibration | OwnThoughtsCalibration, Field(discriminator="source")
]


class _Cut(Section):
    """Keys of every method."""

    cut_from: str | None = Field(
        default=None,
        description="folder of a pruned model with its plan, such as a run's export, to prune further; default: "
        "model.unpruned is pruned",
    )


class _Measured(_Cut):
    """Keys of the methods that measure on calibration data."""

    calibration_traces: int = Field(
        default=CALIBRATION_TRACES,
        ge=1,
        description="number of traces for the measurement (or texts, or thoughts: see calibration)",
    )
    calibration: CalibrationSection | None = Field(
        default=None, description="what to measure on; default: the traces of the recipe's data"
    )


class _Repaired(_Measured):
    """Keys of the methods that leave gaps."""

    repair: Literal["none", "linear"] = Field(
        default="none",
        description="linear: a linear map at each gap, by least squares on the calibration, folded into the MLP before "
        "it (ReplaceMe, arXiv 2505.02819)",
    )


class _Unscored(_Repaired):
    """Keys of the methods that need calibration only for a repair."""

    @model_validator(mode="after")
    def _calibration_is_for_the_repair(self) -> Self:
        given = self.calibration is not None or self.calibration_traces != CALIBRATION_TRACES
        if given and self.repair == "none":
            raise ValueError(
                "calibration and calibration_traces have no effect: this method measures nothing; remove them, "
                "or write repair=linear"
            )
        return self


class TailPrune(_Unscored):
    method: Literal["tail"] = Field(description="remove the last layers (reverse-order pruning)")
    layers: int = Field(ge=1, description="how many layers to remove")


class LayersPrune(_Unscored):
    method: Literal["layers"] = Field(description="remove the layers that are named")
    remove: list[int] = Field(min_length=1, description="0-based indices in the unpruned model")


class ShortGPTPrune(_Repaired):
    method: Literal["shortgpt"] = Field(
        description="remove the layers of least block influence (ShortGPT, arXiv 2403.03853)"
    )
    layers: int = Field(ge=1, description="how many layers to remove")


class PerplexityPrune(_Repaired):
    method: Literal["perplexity"] = Field(
        description="remove layers one after the other, each time the one without which the loss is least (Shortened "
        "LLaMA, arXiv 2402.02834; SLEB, arXiv 2402.09025)"
    )
    layers: int = Field(ge=1, description="how many layers to remove")
    block: int = Field(
        default=1,
        ge=1,
        description="number of neighbouring layers that are removed together; layers must be a multiple of it",
    )
    tokens: Literal["labelled", "all"] = Field(
        default="labelled",
        description="tokens over which the mean loss is taken: labelled (thinking and answer; all of a plain text) or "
        "all (the prompt's too)",
    )

    @model_validator(mode="after")
    def _whole_blocks(self) -> Self:
        if self.layers % self.block:
            raise ValueError(
                f"layers={self.layers} is not a multiple of block={self.block}, and only whole blocks are removed"
            )
        return self


class BlockDistancePrune(_Repaired):
    method: Literal["block_distance"] = Field(
        description="remove the consecutive layers whose first input and last output are closest in angle (The "
        "Unreasonable Ineffectiveness of the Deeper Layers, arXiv 2403.17887; PruneMe)"
    )
    layers: int = Field(ge=1, description="how many consecutive layers to remove")
    tokens: Literal["last", "all"] = Field(
        default="last", description="tokens at which the angle is taken: the last of each trace (as published) or all"
    )


class LaCoPrune(_Measured):
    method: Literal["laco"] = Field(
        description="merge layers into one below them while the final hidden states stay alike (LaCo, arXiv 2402.11187)"
    )
    layers: int | None = Field(
        default=None,
        ge=1,
        description="stop when this many layers are removed, and refuse if the threshold allows fewer; default: as "
        "many as the threshold allows",
    )
    calibration_traces: int = Field(
        default=16, ge=1, description="number of traces for the measurement (or texts, or thoughts: see calibration)"
    )
    layers_merged: int = Field(default=4, ge=2, description="C: number of layers that are merged into one")
    lowest: int = Field(
        default=1, ge=0, description="L: lowest layer into which others are merged, 0-based in the model that is pruned"
    )
    highest: int | None = Field(
        default=None,
        ge=1,
        description="H: highest layer that is merged, 0-based in the model that is pruned; default: the last",
    )
    interval: int = Field(default=2, ge=1, description="I: number of layers to move down after a merge")
    threshold: float = Field(
        default=0.65,
        ge=-1,
        lt=1,
        description="T: smallest cosine of the final hidden states to those of the model that is pruned, mean over "
        "traces",
    )


class WidthPrune(_Measured):
    method: Literal["width"] = Field(
        description="remove the channels of least activation energy from every gated MLP; no layer is removed"
    )
    width: int | None = Field(default=None, ge=1, description="number of channels to keep in each MLP; or give share")
    share: float | None = Field(
        default=None, gt=0, lt=1, description="share of the channels to keep, rounded down to the multiple"
    )
    multiple: int = Field(
        default=64, ge=1, description="the width must be a multiple of this; GPUs need 64 or 128 for full speed"
    )
    widths: Literal["uniform", "by_layer"] = Field(
        default="uniform",
        description="uniform: one width for all layers, and a smaller file; by_layer: the same total number of "
        "channels, allocated by energy and stored with zeros up to the widest layer, so the file hardly "
        "shrinks",
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


class LowRankPrune(_Measured):
    method: Literal["low_rank"] = Field(
        description="lower the rank of the layers' matrices, weighed by activations (after ASVD, arXiv 2312.05821); "
        "stored multiplied out, so that the effect on reasoning shows but nothing is saved"
    )
    share: float = Field(gt=0, lt=1, description="share of these matrices' parameters that the factors would have")
    multiple: int = Field(
        default=64, ge=1, description="ranks must be multiples of this; GPUs need 64 or 128 for full speed"
    )


PruneSection = Annotated[
    TailPrune
    | LayersPrune
    | ShortGPTPrune
    | PerplexityPrune
    | BlockDistancePrune
    | LaCoPrune
    | WidthPrune
    | LowRankPrune,
    Field(discriminator="method"),
]

METHODS_BY_COUNT = ("tail", "shortgpt", "block_distance", "perplexity", "laco")
"""the methods that are told how many layers to remove, and choose which"""
