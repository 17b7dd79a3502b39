"""The prune plan's record of a repaired gap (`prune.gaps` repairs it)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Repair:
    """A linear map that was folded into the layer before a gap. Layer indices as in the plan that holds it."""

    layer: int
    """the layer whose MLP the map is folded into"""
    removed: tuple[int, ...]
    """the neighbouring removed layers after it"""
    error_before: float
    """distance between the residual streams after the gap of the cut and the uncut model, as a share of the latter's
    norm, with the gaps before this one repaired: the root of its mean square over all calibration tokens"""
    error_after: float
    """the same with the map"""
    tokens: int
    """of the calibration; each is one equation per coordinate"""
    ridge: float
    """see `prune.gaps.RIDGE`"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "removed", tuple(self.removed))

    def at(self, places: Sequence[int]) -> Repair:
        """The same repair with layers counted in another model; `places` are this model's layers there."""
        return replace(self, layer=places[self.layer], removed=tuple(places[i] for i in self.removed))


def repairs_of(values: Iterable[Repair | Mapping[str, Any]]) -> tuple[Repair, ...]:
    """Repairs, some possibly still in the form of a file. TypeError if one has other fields."""
    return tuple(each if isinstance(each, Repair) else Repair(**each) for each in values)


def describe_repairs(repairs: Iterable[Repair | Mapping[str, Any]]) -> str:
    """`linear map in layer 4 for 5, 6 (error 0.31 to 0.12)`, for each gap."""
    return "; ".join(
        f"linear map in layer {each.layer} for {', '.join(map(str, each.removed))} "
        f"(error {each.error_before:.2g} to {each.error_after:.2g})"
        for each in repairs_of(repairs)
    )
