"""Removed recipe keys: refused with the reason if a user writes them, ignored in the records of old runs."""

from __future__ import annotations

from typing import Any

GIVEN_UP = {
    "sweep.verdict.resamples": "no longer a key: intervals are no longer computed by resampling "
    "(docs/statistics.md); remove it, nothing replaces it",
    "sweep.verdict.margin": "no longer a key: the gain that must return is a share of the unpruned one, "
    "sweep.verdict.returned_share (docs/statistics.md)",
    "sweep.verdict.level_margin": "no longer a key: a difference in accuracy that does not matter is "
    "sweep.verdict.delta (docs/statistics.md)",
    "sweep.verdict.min_recovered": "no longer a key: the share of the lost accuracy that must return is "
    "sweep.verdict.returned_share (docs/statistics.md)",
}


def without_given_up(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe as an earlier version recorded it, without the keys that no longer exist."""
    for dotted in GIVEN_UP:
        recipe = _without(recipe, dotted.split("."))
    return recipe


def _without(section: dict[str, Any], path: list[str]) -> dict[str, Any]:
    name, *rest = path
    if not rest:
        return {key: value for key, value in section.items() if key != name}
    inside = section.get(name)
    return {**section, name: _without(inside, rest)} if isinstance(inside, dict) else section
