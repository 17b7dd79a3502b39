"""Recipe keys of earlier versions: refused with the reason where a user writes them, left out where an old run did."""

from __future__ import annotations

from typing import Any

GIVEN_UP = {
    "sweep.verdict.resamples": "no longer a key: no interval is made by resampling any more (docs/statistics.md); "
    "remove it, nothing takes its place",
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
