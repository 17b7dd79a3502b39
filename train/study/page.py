"""The page of a study, as Markdown and as self-contained HTML from the same blocks; all text is escaped."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from eval.show.sections import Table


@dataclass(frozen=True)
class Block:
    """A heading and its content: sentences, a list, a table, a picture (by its file name)."""

    heading: str
    text: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    table: Table | None = None
    picture: str = ""


def markdown(title: str, blocks: Sequence[Block]) -> str:
    """The page as Markdown; pictures are separate files in the same folder."""
    parts = [f"# {_plain(title)}"]
    for block in blocks:
        parts.append(f"## {_plain(block.heading)}")
        parts += [_plain(text) for text in block.text]
        if block.items:
            parts.append("\n".join(f"- {_plain(item)}" for item in block.items))
        if block.picture:
            parts.append(f"![{_plain(block.heading)}]({block.picture})")
        if block.table is not None:
            parts.append(_table(block.table))
    return "\n\n".join(parts) + "\n"


def html(title: str, blocks: Sequence[Block], pictures: Mapping[str, Path]) -> str:
    """The page as one HTML file with embedded pictures."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    data = {name: base64.b64encode(path.read_bytes()).decode("ascii") for name, path in pictures.items()}
    return environment.get_template("page.html.j2").render(title=title, blocks=blocks, pictures=data)


def _table(table: Table) -> str:
    lines = [table.head, ["---"] * len(table.head), *table.lines]
    return "\n".join(f"| {' | '.join(map(_plain, line))} |" for line in lines)


def _plain(text: str) -> str:
    """Text that Markdown shows literally: one line, no tags, no links, no column ends, no emphasis."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*|]|\](?=\())", r"\\\1", text)
