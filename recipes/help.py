"""The text of `--help`: every key with type, default and meaning, made from the schema."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from recipes.keys import Key, keys_of, type_text
from recipes.paths import shipped_recipes
from recipes.reading import shown
from recipes.trainer_fields import free_fields

_USAGE = """usage: recipe=FILE [key=value ...]

A recipe is a path or one of: {recipes}.
Arguments override the file, and the file its `extends:` parent. A value is YAML: 5e-4, [16, 32], null, true, text.
"""
_TRAINER = """
trainer.<field>: fields of TRL's SFTConfig with their types; a field that is not given keeps TRL's default.
"""


class HelpAsked(Exception):
    """Raised for --help: the message is the text to print, the exit code is 0."""


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Whether one of the arguments is `--help`, `-h` or `help`."""
    return any(word in ("--help", "-h", "help") for word in arguments)


def help_text(schema: type[BaseModel], arguments: Sequence[str] = ()) -> str:
    """How to write the arguments and every key of the recipe type, one line each; if the arguments name sections
    (`--help adapter`), their keys alone."""
    keys = keys_of(schema)
    sections = [word for word in arguments if word in schema.model_fields]
    if sections:
        lines = [line for line in keys_text(schema).splitlines() if re.split(r"[ .:]", line)[0] in sections]
        return "\n".join([*lines, *(_trainer_lines() if "trainer" in sections else ())]) + "\n"
    lines = [_USAGE.format(recipes=", ".join(shipped_recipes()))]
    lines += [keys_text(schema)]
    if any(key.path == "trainer" for key in keys):
        lines += [_TRAINER + "\n".join(_trainer_lines())]
    return "\n".join(lines) + "\n"


def keys_text(schema: type[BaseModel]) -> str:
    """Every key of a section or a recipe, one line each: type, default, meaning."""
    return "\n".join(
        f"{key.shown}: {kind_of(key)}, {default_of(key)}{'. ' if key.meaning else ''}{key.meaning}"
        for key in keys_of(schema)
    )


def kind_of(key: Key) -> str:
    """The type of a key with its bounds; of the key that chooses a variant, the variants."""
    if key.variants and not key.shown.rpartition(".")[0].endswith(")"):  # the key that chooses the variant
        return " | ".join(key.variants)
    bounds = [
        f"{sign} {getattr(bound, name):g}"
        for bound in key.field.metadata
        for name, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))
        if hasattr(bound, name)
    ]
    return " ".join([type_text(key.field.annotation), " and ".join(bounds)]).strip()


def default_of(key: Key) -> str:
    """`required`, or the word default with the value."""
    default: Any = key.field.default
    return "required" if default is PydanticUndefined else f"default {shown(_plain(default)) or repr('')}"


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str | list | dict | None) else str(value)


def _trainer_lines() -> list[str]:
    """The free SFTConfig fields with their types, a few per line."""
    entries = [f"{name} ({types.replace('|None', ' or null')})" for name, types in free_fields().items()]
    return ["  " + ", ".join(entries[start : start + 4]) for start in range(0, len(entries), 4)]
