"""What keys a recipe may hold, read from the schema: sections, variants and dotted paths."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Model = type[BaseModel]
MAPPINGS = (dict, Mapping)


@dataclass(frozen=True)
class Key:
    """One key that holds a value. `path` has N for a list index; `variants` are the tags it belongs to, or nothing;
    `meaning` ends in its other names, if it has any."""

    path: str
    shown: str
    variants: tuple[str, ...]
    field: FieldInfo
    meaning: str


def sections_in(annotation: Any) -> tuple[Model, ...]:
    """The section types that an annotation allows: one for a section, several for variants, none for a plain value."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return sections_in(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return tuple(section for member in get_args(annotation) for section in sections_in(member))
    if origin is None and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    return ()


def element_of(annotation: Any) -> Any:
    """The annotation of a list's elements; None if it is not a list."""
    return get_args(annotation)[0] if get_origin(annotation) is list else None


def discriminator(sections: tuple[Model, ...]) -> str | None:
    """The key that tells variants apart: the first that all of them restrict to names."""
    if len(sections) < 2:
        return None
    shared = (name for name in sections[0].model_fields if all(_names(section, name) for section in sections))
    return next(shared, None)


def variants(sections: tuple[Model, ...]) -> dict[str, Model]:
    """tag -> section; empty if there is only one section."""
    key = discriminator(sections)
    return {} if key is None else {tag: section for section in sections for tag in _names(section, key)}


def _names(section: Model, key: str) -> tuple[str, ...]:
    field = section.model_fields.get(key)
    return get_args(field.annotation) if field is not None and get_origin(field.annotation) is Literal else ()


def annotation_under(annotation: Any, key: str, tag: Any) -> Any:
    """The annotation of `key` inside a section (of the variant `tag` if it has the key, else any); None if unknown."""
    sections = sections_in(annotation)
    chosen = variants(sections).get(tag) if isinstance(tag, str) else None  # a tag may be any value that was typed
    for section in ((chosen,) if chosen else ()) + sections:
        if key in section.model_fields:
            return section.model_fields[key].annotation
    return None


def keys_of(schema: Model) -> list[Key]:
    """Every key of a recipe type, in the order of the schema; variants one after the other."""
    return list(_walk((schema,), "", ""))


def _walk(sections: tuple[Model, ...], path: str, shown: str) -> Iterator[Key]:
    chooser = discriminator(sections)
    if chooser is not None:
        tags = tuple(variants(sections))
        fields = [(section, section.model_fields[chooser]) for section in sections]
        meaning = "; ".join(f"{'|'.join(_names(section, chooser))}: {field.description}" for section, field in fields)
        meaning += "".join(_also(section, chooser) for section in sections)
        yield Key(f"{path}{chooser}", f"{shown}{chooser}", tags, fields[0][1], meaning)
    for section in sections:
        names = _names(section, chooser) if chooser else ()
        label = f"{shown.removesuffix('.')} ({chooser}={'|'.join(names)})." if chooser else shown
        for name, field in section.model_fields.items():
            if name != chooser:
                also = _also(section, name)
                for key in _field(field, f"{path}{name}", f"{label}{name}", names):
                    yield replace(key, meaning=(key.meaning + also).lstrip()) if also else key


def _also(section: Model, key: str) -> str:
    """` (also: …)` with the names that other tools give to a key of a section (a value, not a section); "" without."""
    aliases: Mapping[str, str] = getattr(section, "aliases", {})
    switches: Mapping[str, tuple[str, str, str]] = getattr(section, "switches", {})
    names = [name for name, own in aliases.items() if own == key]
    names += [f"{name}=true for {on}" for name, (own, on, _) in switches.items() if own == key]
    return f" (also: {', '.join(names)})" if names else ""


def _field(field: FieldInfo, path: str, shown: str, tags: tuple[str, ...]) -> Iterator[Key]:
    inside, elements = sections_in(field.annotation), sections_in(element_of(field.annotation))
    if inside:
        yield from _walk(inside, f"{path}.", f"{shown}.")
    elif elements:
        yield from _walk(elements, f"{path}.N.", f"{shown}.N.")
    else:
        yield Key(path, shown, tags, field, field.description or "")


def type_text(annotation: Any) -> str:
    """A type in words: `int`, `text`, `a | b` for names, `list of int`, `mapping`, `... or null`."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_text(inside[0])
    if origin in (Union, types.UnionType):
        return " or ".join(type_text(member) for member in inside)
    if origin is Literal:
        return " | ".join(str(name) for name in inside)
    if origin is list:
        return f"list of {type_text(inside[0])}"
    if origin in MAPPINGS:
        return "mapping"
    words = {str: "text", Path: "path", bool: "true | false", types.NoneType: "null"}
    return words.get(annotation, getattr(annotation, "__name__", str(annotation)))
