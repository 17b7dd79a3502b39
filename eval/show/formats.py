"""A table in several formats: text of a given width, Markdown, LaTeX, and CSV of unrounded values."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import fill
from typing import Any

from eval.show.tables import WIDTH, align

LONGEST_CELL = 32  # characters; if a table is too wide, longer cells become letters with a legend
LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


@dataclass(frozen=True)
class Table:
    """A title, column heads, lines of as many cells, and notes below."""

    title: str
    heads: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def as_text(table: Table, width: int = WIDTH) -> str:
    """The table as plain text of at most `width` columns. No cell is cut: a cell that is too long becomes a letter,
    explained below the table, and columns that do not fit continue below, each part with the first column."""
    narrow, legend = (table, []) if _fits(table, width) else _with_legend(table)
    parts = [align(part) for part in _parts([narrow.heads, *narrow.lines], width)]
    below = [line for text in (*legend, *table.notes) for line in fill(text, width).splitlines()]
    return "\n".join([fill(table.title, width), "\n\n".join(parts), *below])


def _fits(table: Table, width: int) -> bool:
    return all(len(line) <= width for line in align([table.heads, *table.lines]).splitlines())


def _with_legend(table: Table) -> tuple[Table, list[str]]:
    cells = [cell for line in (table.heads, *table.lines) for cell in line]
    long = {cell: f"[{letters(i)}]" for i, cell in enumerate(dict.fromkeys(c for c in cells if len(c) > LONGEST_CELL))}
    heads, *lines = (tuple(long.get(cell, cell) for cell in line) for line in (table.heads, *table.lines))
    return replace(table, heads=heads, lines=tuple(lines)), [f"{letter} {cell}" for cell, letter in long.items()]


def letters(number: int) -> str:
    """0, 1, … as a, b, …, z, aa, ab, …"""
    text = ""
    while number >= 0:
        text, number = chr(97 + number % 26) + text, number // 26 - 1
    return text


def _parts(lines: Sequence[Sequence[str]], width: int) -> Iterator[list[list[str]]]:
    """The columns in groups that fit into `width` together with the first one, which is repeated."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    group, taken = [0], widths[0]
    for column in range(1, len(widths)):
        if len(group) > 1 and taken + 2 + widths[column] > width:
            yield [[line[k] for k in group] for line in lines]
            group, taken = [0], widths[0]
        group.append(column)
        taken += 2 + widths[column]
    yield [[line[k] for k in group] for line in lines]


def as_markdown(table: Table) -> str:
    """A pipe table with its title in bold; all characters special to Markdown are escaped."""
    lines = [table.heads, ("---",) * len(table.heads), *table.lines]
    body = "\n".join(
        "| " + " | ".join(cell if number == 1 else markdown(cell) for cell in line) + " |"
        for number, line in enumerate(lines)
    )
    return "\n\n".join([f"**{markdown(table.title)}**", body, *map(markdown, table.notes)])


def markdown(text: str) -> str:
    """`text` escaped for one line of Markdown."""
    escaped = re.sub(r"([\\`*_\[\]|~#])", r"\\\1", " ".join(text.split()))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def as_latex(table: Table) -> str:
    """A `tabular` with its title as the caption; needs no package."""
    lines = [_latex_line(line) for line in (table.heads, *table.lines)]
    body = [r"\hline", lines[0], r"\hline", *lines[1:], r"\hline"]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{latex('. '.join([table.title, *table.notes]))}}}",
            rf"\begin{{tabular}}{{{'l' * len(table.heads)}}}",
            *body,
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def _latex_line(cells: Sequence[str]) -> str:
    """After a line end, LaTeX reads a bracket or a star as an argument; an empty group separates them."""
    line = " & ".join(map(latex, cells))
    return ("{}" if line[:1] in ("[", "*") else "") + line + r" \\"


def latex(text: str) -> str:
    """`text` escaped for LaTeX."""
    return "".join(LATEX.get(sign, sign) for sign in " ".join(text.split()))


def as_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Comma-separated values with one header line: the keys in order of appearance; None and missing keys are empty,
    numbers unrounded."""
    rows = list(rows)
    keys = dict.fromkeys(key for row in rows for key in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(keys), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
