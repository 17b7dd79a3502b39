"""The recipe keys in which runs differ, from the resolved recipes in their run.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

NAME_OF_A_RUN = "run.dir"
"""differs between any two runs, and names the rows of a comparison"""


class Absent:
    """The value of a key that a recipe does not have: a key of another variant, or of another version."""

    def __repr__(self) -> str:
        return "-"


ABSENT = Absent()


def differing(recipes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Dotted key -> run -> value (ABSENT without it), for the keys in which `recipes` (by run) are not all equal."""
    flat = {run: dict(flattened(recipe)) for run, recipe in recipes.items()}
    keys = dict.fromkeys(key for each in flat.values() for key in each)
    values = {key: {run: each.get(key, ABSENT) for run, each in flat.items()} for key in keys if key != NAME_OF_A_RUN}
    # compared as text: 1 and true are equal in Python, and a list has no hash
    return {key: of_runs for key, of_runs in values.items() if len(set(map(repr, of_runs.values()))) > 1}


def flattened(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of everything in a recipe; sections in a list by index, as on the command line."""
    inside: list[tuple[str, Any]] = []
    if isinstance(value, Mapping):
        inside = [(str(key), each) for key, each in value.items()]
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        inside = [(str(place), each) for place, each in enumerate(value)]
    if not inside:
        yield path, value
    for key, each in inside:
        yield from flattened(each, f"{path}.{key}" if path else key)
