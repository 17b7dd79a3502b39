"""Merging the layers of a recipe: parents, the file, the arguments."""

from __future__ import annotations

from typing import Any

from recipes.errors import UserError
from recipes.keys import annotation_under, discriminator, element_of, sections_in, variants

Mapping = dict[str, Any]


def merge(low: Any, high: Any, annotation: Any, path: str = "") -> Any:
    """`high` laid over `low`: mappings are merged key by key, anything else is replaced.

    A mapping with the keys 0, 1, ... over a list changes these elements. If `high` chooses another variant of a
    section (`adapter.method=none` over a lora adapter), the keys of `low` that the new variant lacks are left out.
    Raises UserError if an index is out of range.
    """
    if isinstance(low, dict) and isinstance(high, dict):
        return _merge_mappings(low, high, annotation, path)
    if isinstance(low, list) and isinstance(high, dict) and high and all(key.isdecimal() for key in high):
        return _merge_elements(low, high, annotation, path)
    return high


def _merge_mappings(low: Mapping, high: Mapping, annotation: Any, path: str) -> Mapping:
    base = _fitting(low, high, annotation)
    chooser = discriminator(sections_in(annotation))
    tag = None if chooser is None else high.get(chooser, base.get(chooser))
    merged = dict(base)
    for key, value in high.items():
        inside = annotation_under(annotation, key, tag)
        merged[key] = merge(base[key], value, inside, f"{path}{key}.") if key in base else value
    return merged


def _fitting(low: Mapping, high: Mapping, annotation: Any) -> Mapping:
    """The keys of `low` that the variant chosen by `high` has; all of them if `high` chooses no other variant."""
    sections = sections_in(annotation)
    chooser, by_tag = discriminator(sections), variants(sections)
    if chooser is None or not isinstance(high.get(chooser), str):
        return low
    old, new = by_tag.get(str(low.get(chooser))), by_tag.get(high[chooser])
    if new is None or old is new:
        return low
    return {key: value for key, value in low.items() if key in new.model_fields}


def _merge_elements(low: list[Any], high: Mapping, annotation: Any, path: str) -> list[Any]:
    merged = list(low)
    for key, value in high.items():
        if int(key) >= len(low):
            raise UserError(f"{path}{key}: the list has {len(low)} elements, write an index from 0 to {len(low) - 1}")
        merged[int(key)] = merge(low[int(key)], value, element_of(annotation), f"{path}{key}.")
    return merged


def nest(pairs: list[tuple[str, Any]]) -> tuple[Mapping, list[str]]:
    """Dotted keys with their values as one nested mapping, and the faults: keys given twice or inside a value."""
    root: Mapping = {}
    faults: list[str] = []
    for dotted, value in pairs:
        *sections, last = dotted.split(".")
        place: Any = root
        for name in sections:
            place = place.setdefault(name, {}) if isinstance(place, dict) else None
        if not isinstance(place, dict) or last in place:
            faults.append(f"{dotted}: given twice, or together with a key above or below it; write it once")
        else:
            place[last] = value
    return root, faults


def holds(layer: Any, dotted: str) -> bool:
    """Whether a layer gives a value for the dotted key."""
    for name in dotted.split("."):
        if not isinstance(layer, dict) or name not in layer:
            return False
        layer = layer[name]
    return True
