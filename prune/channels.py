"""The MLP channels that stay: the part of a prune plan that narrows layers instead of removing them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from recipes.errors import UserError


@dataclass(frozen=True)
class Channels:
    """The channels that stay, layer by layer.

    Raises UserError if they are not in the model, or if no channel or every channel stays. Layers may keep different
    numbers; a checkpoint has one width, that of the widest layer, and the others are padded with zeros.
    """

    width: int
    """channels of each MLP of the unpruned model"""
    kept: tuple[tuple[int, ...], ...]
    """for every layer that stays, in order: indices in the unpruned model, ascending"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kept", tuple(tuple(own) for own in self.kept))
        for layer, own in enumerate(self.kept):
            if not own or any(second <= first for first, second in pairwise(own)):
                raise UserError(f"prune plan: channels of layer {layer} must be one or more, in rising order")
            if own[0] < 0 or own[-1] >= self.width:
                raise UserError(f"prune plan: channels of layer {layer} are outside 0 to {self.width - 1}")
        if sum(self.widths) == self.width * len(self.kept):
            raise UserError("prune plan: all channels of all layers stay; keep fewer")

    @property
    def widths(self) -> tuple[int, ...]:
        """How many channels each layer keeps."""
        return tuple(map(len, self.kept))

    @property
    def stored_width(self) -> int:
        """The width of every layer in the checkpoint."""
        return max(self.widths)

    @property
    def is_uneven(self) -> bool:
        """Whether widths differ, so that narrower layers are padded with zeros."""
        return min(self.widths) < self.stored_width


def compose_channels(earlier: Channels | None, step: Channels | None, places: Sequence[int]) -> Channels | None:
    """The channels that stay after two cuts, counted in the unpruned model; None if no cut removed any.

    earlier: the channels of the layers that the first cut left, the same number in each; step: those of the layers that
    the second cut left, counted in the model after the first; places: these layers, in the model after the first.
    """
    if earlier is None:
        return step
    if step is None:
        return Channels(earlier.width, tuple(earlier.kept[i] for i in places))
    rows = zip(places, step.kept, strict=True)
    return Channels(earlier.width, tuple(tuple(earlier.kept[i][channel] for channel in own) for i, own in rows))


def describe_channels(width: int, widths: Sequence[int]) -> str:
    """`128 of 192 in every layer`, or, if layers differ, the range and what it means for the file size."""
    mean = sum(widths) / (width * len(widths))
    if min(widths) == max(widths):
        return f"{widths[0]:,} of {width:,} in every layer ({mean:.1%})"
    return (
        f"{min(widths):,} to {max(widths):,} of {width:,} by layer ({mean:.1%} in all); stored padded with zeros to "
        f"{max(widths):,}, so the file is as large as if all layers had that width"
    )


def facts_of(channels: Channels) -> dict[str, Any]:
    """Only the widths, for a run record; the plan has the channels themselves."""
    return {"width": channels.width, "widths": list(channels.widths)}


def to_fields(channels: Channels) -> dict[str, Any]:
    """For JSON: the channels of each layer as ranges in one string, `0-3,7`, since there are thousands."""
    return {"width": channels.width, "kept": [_ranges(own) for own in channels.kept]}


def from_fields(fields: Mapping[str, Any]) -> Channels:
    """Reads what `to_fields` wrote. Raises ValueError, TypeError or KeyError for anything else."""
    return Channels(width=int(fields["width"]), kept=tuple(_indices(text) for text in fields["kept"]))


def _ranges(indices: Sequence[int]) -> str:
    starts = [i for place, i in enumerate(indices) if place == 0 or indices[place - 1] != i - 1]
    ends = [i for place, i in enumerate(indices) if place == len(indices) - 1 or indices[place + 1] != i + 1]
    return ",".join(str(start) if start == end else f"{start}-{end}" for start, end in zip(starts, ends, strict=True))


def _indices(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\d{1,7}(-\d{1,7})?(,\d{1,7}(-\d{1,7})?)*", text):
        raise ValueError(f"not channels: {text[:80]!r}")
    bounds = [part.partition("-") for part in text.split(",")]
    return tuple(i for start, _, end in bounds for i in range(int(start), int(end or start) + 1))
