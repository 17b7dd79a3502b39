"""What a prune plan says of a gap that was repaired (`prune.gaps` repairs it)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Repair:
    """A linear map that was folded into the layer before a gap. Layer indices as in the plan that holds it."""

    layer: int
    """whose MLP took the map up"""
    removed: tuple[int, ...]
    """the neighbouring layers that are gone behind it"""
    error_before: float
    """distance of the residual stream behind the gap to that of the model that was cut, as a share of the latter's
    length, over all tokens of the calibration; the gaps before this one are repaired"""
    error_after: float
    """the same with the map"""
    tokens: int
    """of the calibration, each one equation for every coordinate"""
    ridge: float
    """see `prune.gaps.RIDGE`"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "removed", tuple(self.removed))

    def at(self, places: Sequence[int]) -> Repair:
        """The same with layers counted in another model; `places` are this one's layers there."""
        return replace(self, layer=places[self.layer], removed=tuple(places[i] for i in self.removed))


def repairs_of(values: Iterable[Repair | Mapping[str, Any]]) -> tuple[Repair, ...]:
    """Repairs, some perhaps still as they stand in a file. TypeError where one has other fields."""
    return tuple(each if isinstance(each, Repair) else Repair(**each) for each in values)


def describe_repairs(repairs: Iterable[Repair | Mapping[str, Any]]) -> str:
    """`linear map in layer 4 for 5, 6 (error 0.31 to 0.12)`, for each gap."""
    return "; ".join(
        f"linear map in layer {each.layer} for {', '.join(map(str, each.removed))} "
        f"(error {each.error_before:.2g} to {each.error_after:.2g})"
        for each in repairs_of(repairs)
    )
