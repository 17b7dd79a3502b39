"""Translates other tools' names of keys (`aliases` of a section) to ours before layers are merged, so that a recipe is
stored, hashed and resumed under the same keys whichever names it was written with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recipes.keys import Model, annotation_under, discriminator, element_of, sections_in
from recipes.reading import shown


def in_own_names(layer: Any, below: Any, annotation: Any, faults: list[str], path: str = "") -> Any:
    """The layer with every key under our name. `below`: the merged layers under it, in our names.

    A layer that gives one key under two names with different values adds a line to `faults`; a higher layer may
    change a value under any name.
    """
    element, sections = element_of(annotation), sections_in(annotation)
    if isinstance(layer, list):
        return [in_own_names(each, None, element, faults, f"{path}{at}.") for at, each in enumerate(layer)]
    if not isinstance(layer, dict):
        return layer
    if element is not None:  # {0: …, 1: …}: single elements of a list, by their indices
        places = dict(enumerate(below)) if isinstance(below, list) else {}
        return {
            key: in_own_names(
                value, places.get(int(key)) if key.isdecimal() else None, element, faults, f"{path}{key}."
            )
            for key, value in layer.items()
        }
    under: Mapping[str, Any] = below if isinstance(below, dict) else {}
    own = _Renamed(path, under, faults).of(layer, sections)
    chooser = discriminator(sections)
    tag = None if chooser is None else own.get(chooser, under.get(chooser))
    return {
        key: in_own_names(value, under.get(key), annotation_under(annotation, key, tag), faults, f"{path}{key}.")
        for key, value in own.items()
    }


class _Renamed:
    """One section of a layer, key by key, and under which name each was given."""

    def __init__(self, path: str, below: Mapping[str, Any], faults: list[str]) -> None:
        self.path, self.below, self.faults = path, below, faults
        self.own: dict[str, Any] = {}
        self.said: dict[str, str] = {}

    def of(self, layer: dict[str, Any], sections: tuple[Model, ...]) -> dict[str, Any]:
        aliases = {alias: key for section in sections for alias, key in getattr(section, "aliases", {}).items()}
        switches = {alias: each for section in sections for alias, each in getattr(section, "switches", {}).items()}
        # our own names first: a switch that is off counts only if they do not set the key
        for name, value in sorted(layer.items(), key=lambda item: (item[0] in switches, item[0] in aliases)):
            if name in switches:
                self._switch(name, value, *switches[name])
            else:
                self._take(aliases.get(name, name), value, f"{self.path}{name}={shown(value)}")
        return self.own

    def _take(self, key: str, value: Any, said: str) -> None:
        if self.own.setdefault(key, value) != value:
            self.faults.append(
                f"{said} and {self.said[key]}: two names of one key ({self.path}{key}) with different values; write one"
            )
        self.said.setdefault(key, said)

    def _switch(self, name: str, value: Any, key: str, on: str, off: str) -> None:
        """A name that is true for one value of our key; false has no effect if the key has another value."""
        said = f"{self.path}{name}={shown(value)}"
        if value is True:
            self._take(key, on, f"{said} ({key}={on})")
        elif value is not False:
            self.faults.append(f"{said}: must be true or false")
        elif self.own.get(key, self.below.get(key)) == on:
            self._take(key, off, f"{said} (not {key}={on})")
