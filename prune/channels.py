"""Which channels of gated MLPs stay: the part of a prune plan that narrows layers in place of removing them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from recipes.errors import UserError


@dataclass(frozen=True)
class Channels:
    """The channels that stay, layer by layer. UserError where they are not in the model, or none stays, or none goes.

    Layers may keep different numbers. A checkpoint has one width, that of the widest, and the others are stored with
    zeros in the places that are left over.
    """

    width: int
    """channels of each MLP of the unpruned model"""
    kept: tuple[tuple[int, ...], ...]
    """of every layer that stays, in order: indices in the unpruned model, rising"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kept", tuple(tuple(own) for own in self.kept))
        for layer, own in enumerate(self.kept):
            if not own or any(second <= first for first, second in pairwise(own)):
                raise UserError(f"prune plan: channels of layer {layer} must be one or more, in rising order")
            if own[0] < 0 or own[-1] >= self.width:
                raise UserError(f"prune plan: channels of layer {layer} lie outside 0 to {self.width - 1}")
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
        """Whether layers differ, so that the narrow ones are stored with zeros."""
        return min(self.widths) < self.stored_width


def compose_channels(earlier: Channels | None, step: Channels | None, places: Sequence[int]) -> Channels | None:
    """The channels that stay after two cuts, counted in the unpruned model; None where none went.

    earlier: even ones, of the layers that the first cut left; step: of what the second cut left, counted in what the
    first one left; places: the layers that the second cut left, in what the first one left.
    """
    if earlier is None:
        return step
    if step is None:
        return Channels(earlier.width, tuple(earlier.kept[i] for i in places))
    rows = zip(places, step.kept, strict=True)
    return Channels(earlier.width, tuple(tuple(earlier.kept[i][channel] for channel in own) for i, own in rows))


def describe_channels(width: int, widths: Sequence[int]) -> str:
    """`128 of 192 in every layer`, or where layers differ the range, and what that means for the file."""
    mean = sum(widths) / (width * len(widths))
    if min(widths) == max(widths):
        return f"{widths[0]:,} of {width:,} in every layer ({mean:.1%})"
    return (
        f"{min(widths):,} to {max(widths):,} of {width:,} by layer ({mean:.1%} in all); stored padded with zeros to "
        f"{max(widths):,}, so the file is as large as if all layers had that width"
    )


def facts_of(channels: Channels) -> dict[str, Any]:
    """Widths alone, for a run record; which channels they are is in the plan."""
    return {"width": channels.width, "widths": list(channels.widths)}


def to_fields(channels: Channels) -> dict[str, Any]:
    """For JSON: of each layer its channels as ranges in one string, `0-3,7`, since there are thousands."""
    return {"width": channels.width, "kept": [_ranges(own) for own in channels.kept]}


def from_fields(fields: Mapping[str, Any]) -> Channels:
    """What `to_fields` gave. ValueError, TypeError or KeyError where it did not."""
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
