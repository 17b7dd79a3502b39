"""`python -m recipes.reference`: every key of a recipe as a Markdown page, made from the schema (a page of the site).

A key that several variants share (`cut_from` of each pruning method) is one row; if not all variants have it, the
column `only with` names those that do. A section with the same keys as an earlier one refers to it.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import NamedTuple

from pydantic import BaseModel

from recipes.command import run
from recipes.help import default_of, kind_of
from recipes.keys import Key, keys_of
from recipes.schema import Recipe
from recipes.trainer_fields import free_fields

_HEAD = """# Recipe reference

Every key of a recipe, generated from its schema (`python -m recipes.reference`). `N` is an index in a list. Defaults
are overridden by the `extends:` parent, the parent by the recipe file, and the file by `key=value` arguments.
`python launch/train.py --help` prints the same keys; `chainmend train --help adapter` prints those of one section.
"""
_TOP = "Top level"
_TABLE = ["| key | type | default | only with | meaning |", "| --- | --- | --- | --- | --- |"]

Tags = dict[str, frozenset[str]]
"""dotted path of a key that chooses a variant -> names of variants"""


class _Row(NamedTuple):
    path: str
    kind: str
    default: str
    meaning: str


def page(schema: type[BaseModel] = Recipe) -> str:
    """The whole page: a heading for each section, a table for each part of it."""
    only_with = _rows(keys_of(schema))
    every: Tags = {}
    for tags in only_with.values():
        every |= {chooser: every.get(chooser, frozenset()) | names for chooser, names in tags.items()}
    tables: dict[str, list[str]] = {}
    for row, tags in only_with.items():
        tables.setdefault(_part(row.path), []).append(_line(row, tags, every))
    return "\n".join([_HEAD, *_sections(tables)])


def _rows(keys: list[Key]) -> dict[_Row, Tags]:
    """Rows in the order of the schema, and the variants that each belongs to."""
    rows: dict[_Row, Tags] = {}
    for key in keys:
        row = _Row(key.path, kind_of(key), default_of(key), key.meaning)
        before = rows.setdefault(row, {})
        for chooser, names in _tags(key).items():
            before[chooser] = before.get(chooser, frozenset()) | names
    return rows


def _tags(key: Key) -> Tags:
    """`prune (method=tail).layers` is {"prune.method": {"tail"}}."""
    found: Tags = {}
    path = ""
    for part in key.shown.split(".")[:-1]:
        name, _, condition = part.partition(" (")
        path += f"{name}."
        if condition:
            chooser, _, names = condition.rstrip(")").partition("=")
            found[path + chooser] = frozenset(names.split("|"))
    return found


def _part(path: str) -> str:
    """The section that a key belongs to; an element of a list belongs to the list."""
    return path.rpartition(".")[0].removesuffix(".N") or _TOP


def _line(row: _Row, tags: Tags, every: Tags) -> str:
    only = [
        f"{chooser.rpartition('.')[2]} {', '.join(sorted(names))}"
        for chooser, names in tags.items()
        if names != every[chooser]
    ]
    cells = [row.kind, row.default.removeprefix("default "), "; ".join(only), row.meaning]
    return f"| `{row.path.rpartition('.')[2]}` | " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    return html.escape(text, quote=False).replace("|", "\\|").replace("*", "\\*")


def _sections(tables: dict[str, list[str]]) -> Iterator[str]:
    """Each part under its heading; of parts with equal rows only the first is written out."""
    first: dict[tuple[str, ...], str] = {}
    for part in _ordered(list(tables)):
        lines = tables[part]
        yield f"{'##' if '.' not in part else '###'} {part}\n"
        if (same := first.setdefault(tuple(lines), part)) != part:
            yield f"The keys of [{same}](#{_anchor(same)}).\n"
            continue
        yield "\n".join([*_TABLE, *lines, ""])
    yield from _trainer()


def _ordered(parts: list[str]) -> list[str]:
    """A section before its parts, all in the order of the schema."""
    tops = list(dict.fromkeys(part.partition(".")[0] for part in [_TOP, *parts]))
    return sorted(parts, key=lambda part: (tops.index(part.partition(".")[0]), "." in part))


def _trainer() -> Iterator[str]:
    yield "## trainer\n"
    yield "Fields of TRL's `SFTConfig` under their own names; a field that is not given keeps TRL's default.\n"
    fields = (f"| `{name}` | {_cell(types.replace('|None', ' or null'))} |" for name, types in free_fields().items())
    yield "\n".join(["| field | type |", "| --- | --- |", *fields, ""])


def _anchor(heading: str) -> str:
    """As the site makes it: lower case, without dots, spaces as hyphens."""
    return heading.lower().replace(".", "").replace(" ", "-")


def main(arguments: list[str]) -> None:
    print(page(), end="")


if __name__ == "__main__":
    run(main)
