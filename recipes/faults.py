"""What is wrong with a recipe, one line per fault: the dotted key, its value, what is allowed, what was meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from recipes.given_up import GIVEN_UP
from recipes.keys import (
    MAPPINGS,
    Key,
    Model,
    annotation_under,
    discriminator,
    element_of,
    keys_of,
    sections_in,
    variants,
)
from recipes.names import FOREIGN_NAMES, NOT_OFFERED, closest
from recipes.reading import shown
from recipes.trainer_fields import OWNED, TRAINER_FIELDS

_MUST_BE = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text (put a number in quotes)",
    "path_type": "a path (put a number in quotes)",
    "list_type": "a list, such as [1, 2]",
    "dict_type": "a mapping, such as {a: 1}",
    "finite_number": "a finite number",
    "date_parsing": "a day, such as 2026-07-31",
    "date_type": "a day, such as 2026-07-31",
    "date_from_datetime_parsing": "a day, such as 2026-07-31",
    "date_from_datetime_inexact": "a day, such as 2026-07-31",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


def fault_lines(error: ValidationError, schema: Model) -> list[tuple[str, str]]:
    """(dotted key, line) for every fault; the key is empty if a fault concerns several keys."""
    keys = keys_of(schema)
    lines_by_key: dict[str, tuple[str, str]] = {}
    for details in error.errors(include_url=False):
        place, section = _place(details["loc"], schema)
        for key, line in _lines(details, place, section, keys):
            if key in lines_by_key and key and details["type"] in _MUST_BE:  # a type that one member of a union expects
                line = f"{lines_by_key[key][1]}, or {_MUST_BE[details['type']]}"
            lines_by_key[key or line] = (key, line)
    return list(lines_by_key.values())


def _place(loc: tuple[int | str, ...], schema: Model) -> tuple[str, Any]:
    """The dotted key as one would type it (pydantic adds variant tags and type names), and the annotation there."""
    parts: list[str] = []
    annotation: Any = schema
    tag: Any = None
    for part in loc:
        sections, element = sections_in(annotation), element_of(annotation)
        if part in variants(sections) and tag is None:
            tag = part
        elif sections:
            parts.append(str(part))
            annotation, tag = annotation_under(annotation, str(part), tag), None
        elif isinstance(part, int) and element is not None:
            parts.append(str(part))
            annotation = element
        elif get_origin(annotation) in MAPPINGS and part != "[key]":
            parts.append(str(part))
            annotation = get_args(annotation)[1]
        else:  # the name of a type that one member of a union wanted
            break
    return ".".join(parts), annotation


def _lines(details: ErrorDetails, key: str, annotation: Any, keys: list[Key]) -> Iterator[tuple[str, str]]:
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    sections = sections_in(annotation)
    if kind == "extra_forbidden":
        yield from ((leaf, _unknown(leaf, text, keys)) for leaf, text in _leaves(key, value))
    elif kind == "value_error":
        for line in str(context["error"]).splitlines():
            own_key, _, _ = line.partition("=")
            yield (own_key, line) if line.startswith(f"{key}.") else (key, f"{key}: {line}" if key else line)
    elif kind == "literal_error" and details["loc"][-1] == "[key]":
        yield key, f"{key}: unknown key; {_allowed(kind, context, '', value)}"
    elif kind in ("union_tag_invalid", "union_tag_not_found"):
        yield _wrong_variant(key, value, sections)
    elif kind in ("model_type", "model_attributes_type"):
        yield key, f"{key}={shown(value)}: must be a section of keys{_section_hint(key, value, sections)}"
    elif kind == "missing":
        meaning = next((entry.field.description for entry in keys if entry.path == generic(key)), None)
        yield key, f"{key}: missing" + (f" ({meaning})" if meaning else "")
    else:
        yield key, f"{key}={shown(value)}: {_allowed(kind, context, details['msg'], value)}"


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, inside in value.items():
            yield from _leaves(f"{key}.{name}", inside)
    else:
        yield key, value


def _wrong_variant(key: str, value: Any, sections: tuple[Model, ...]) -> tuple[str, str]:
    chooser, tags = str(discriminator(sections)), list(variants(sections))
    dotted = f"{key}.{chooser}"
    if chooser not in value:
        return dotted, f"{dotted}: missing; allowed: {', '.join(tags)}"
    return dotted, f"{dotted}={shown(value[chooser])}: allowed: {', '.join(tags)}{_meant(value[chooser], tags)}"


def _section_hint(key: str, value: Any, sections: tuple[Model, ...]) -> str:
    chooser, tags = discriminator(sections), variants(sections)
    near = closest(str(value), tags) if chooser else None
    return f"; did you mean {key}.{chooser}={near}?" if near else ""


def _allowed(kind: str, context: Mapping[str, Any], message: str, value: Any) -> str:
    if kind == "literal_error":
        names = str(context["expected"]).replace(" or ", ", ").replace("'", "")
        return f"allowed: {names}{_meant(value, names.split(', '))}"
    if kind in _BOUNDS:
        words, name = _BOUNDS[kind]
        return f"must be {words} {context[name]:g}"
    if kind == "too_short":
        return f"needs at least {context['min_length']} element"
    if kind in _MUST_BE:
        return f"must be {_MUST_BE[kind]}"
    return message.replace("Input should be", "must be")


def _meant(value: Any, names: list[str]) -> str:
    near = closest(str(value), names)
    return f"; did you mean {near}?" if near else ""


def _unknown(key: str, value: Any, keys: list[Key]) -> str:
    said = f"{key}={shown(value)}: "
    reason = GIVEN_UP.get(generic(key)) or NOT_OFFERED.get(generic(key))
    if reason:
        return said + reason
    elsewhere = [entry for entry in keys if entry.path == generic(key)]
    if elsewhere:
        section, chooser = elsewhere[0].shown.split(" (")[0], elsewhere[0].shown.rpartition("(")[2].split("=")[0]
        tags = " or ".join(tag for entry in elsewhere for tag in entry.variants)
        return f"{said}not a key of the chosen variant; it belongs to {section}.{chooser}={tags}"
    meant = suggestion(key, keys)
    if meant:
        return f"{said}unknown key; did you mean {meant}?"
    section = generic(key).rpartition(".")[0]
    siblings = sorted(
        {
            entry.path.removeprefix(f"{section}.").split(".")[0]
            for entry in keys
            if not section or entry.path.startswith(f"{section}.")
        }
    )
    known = f"keys of {section or 'a recipe'}: {', '.join(siblings)}" if siblings else "--help lists every key"
    return f"{said}unknown key; {known}"


def suggestion(key: str, keys: list[Key]) -> str | None:
    """The dotted key that was probably meant, with the list indices that were typed; None if nothing is similar."""
    paths = list(dict.fromkeys(entry.path for entry in keys))
    typed, last = generic(key), key.rpartition(".")[2]
    section = typed.rpartition(".")[0]
    siblings = {path.rpartition(".")[2]: path for path in paths if path.rpartition(".")[0] == section}
    # a slip in the same section is likelier than another tool's name, and that likelier than a vague resemblance
    near = closest(last, siblings, cutoff=0.8)
    begun = (name for name in siblings if last.startswith(name) and len(name) > 2)
    loose = closest(last, siblings) or next(begun, None)
    path = (
        siblings.get(near or "")
        or _foreign(last, paths)
        or siblings.get(loose or "")
        or _same_ending(typed, paths)
        or closest(typed, paths, cutoff=0.75)
    )
    return _indexed(path, key) if path else None


def _foreign(name: str, paths: list[str]) -> str | None:
    """The key for a name of another tool or for a TRL field without `trainer.`; None if the recipe has none."""
    meant = FOREIGN_NAMES.get(name)
    if meant is None and "trainer" in paths:
        fields = [field for field in TRAINER_FIELDS if field not in OWNED]
        near = name if name in fields else closest(name, [*fields, *FOREIGN_NAMES], cutoff=0.85)
        meant = FOREIGN_NAMES.get(near or "") or (f"trainer.{near}" if near in fields else None)
    return meant if meant in paths or (meant and meant.startswith("trainer.") and "trainer" in paths) else None


def _same_ending(key: str, paths: list[str]) -> str | None:
    """The only key that ends in the same name; of several, the one most like the typed key."""
    last = key.rpartition(".")[2]
    same = [path for path in paths if path.rpartition(".")[2] == last]
    return same[0] if len(same) == 1 else closest(key, same, cutoff=0.0)


def generic(key: str) -> str:
    """The key with N for every list index."""
    return ".".join("N" if part.isdecimal() else part for part in key.split("."))


def _indexed(path: str, key: str) -> str:
    """The path with the indices that were typed in place of its Ns (0 if none was)."""
    indices = iter([part for part in key.split(".") if part.isdecimal()])
    return ".".join(next(indices, "0") if part == "N" else part for part in path.split("."))
