"""`python -m data_prep preview recipe=FILE [n=3] [ids=true] [colour=always]`: rows as the model sees them.

Colours, or marks, distinguish labelled from unlabelled text; ids=true shows every token with its id.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TextIO

from transformers import PreTrainedTokenizerBase

from data_prep.filtering.pipeline import read_and_filter
from data_prep.ledger import Ledger
from data_prep.models import load_tokenizer
from data_prep.suites.confirm import measured_suites
from data_prep.tokens.batches import BatchWork
from data_prep.tokens.prompts import think_format
from data_prep.tokens.spelling import token_bytes
from data_prep.tokens.tokenize import IGNORED, Labeller, Row
from data_prep.trace import Trace
from recipes.command import split
from recipes.errors import UserError
from recipes.loader import load_recipe
from recipes.schema import Recipe
from recipes.terminal import painted_output


@dataclass(frozen=True)
class Paint:
    """Text before and after a run of unlabelled text, a run of labelled text, and a token's id."""

    unlabelled: tuple[str, str]
    labelled: tuple[str, str]
    number: tuple[str, str]


OWN_KEYS = {
    "n": "how many rows; default 3",
    "ids": "true: every token with its id",
    "colour": "auto (a terminal gets colours), always or never",
}
COLOURS = Paint(unlabelled=("\x1b[2;37m", "\x1b[0m"), labelled=("\x1b[32m", "\x1b[0m"), number=("\x1b[33m", "\x1b[0m"))
MARKS = Paint(unlabelled=("", ""), labelled=("⟦", "⟧"), number=("‹", "›"))


@dataclass(frozen=True)
class Look:
    """How many rows are shown, in which colours, and how tokens are written."""

    count: int
    paint: Paint
    ids: bool


def main(arguments: list[str]) -> None:
    keys, rest = split(arguments, OWN_KEYS, Recipe)
    show(load_recipe(rest).recipe, look_of(keys))


def look_of(keys: Mapping[str, str], stream: TextIO | None = None) -> Look:
    """The look that the command's own keys select; by default colours only on a terminal and without NO_COLOR."""
    count, ids, colour = keys.get("n", "3"), keys.get("ids", "false"), keys.get("colour", "auto")
    if not count.isdigit() or count == "0":
        raise UserError(f"n={count}: must be a whole number of at least 1")
    if ids not in ("true", "false"):
        raise UserError(f"ids={ids}: must be true or false")
    if colour not in ("auto", "always", "never"):
        raise UserError(f"colour={colour}: must be auto, always or never")
    terminal = (stream or sys.stdout).isatty() and not os.environ.get("NO_COLOR")
    coloured = colour == "always" or (colour == "auto" and terminal)
    return Look(int(count), COLOURS if coloured else MARKS, ids == "true")


def show(recipe: Recipe, look: Look) -> None:
    """Prints the first rows of a recipe's data; no weights are loaded and nothing is cached."""
    tokenizer = load_tokenizer(recipe.model.unpruned, recipe.model)
    labeller = Labeller(tokenizer, think_format(recipe.data.format, tokenizer))
    work = BatchWork(labeller, recipe.data.max_length_tokens, recipe.data.overlong)
    print(
        f"{look.paint.unlabelled[0]}not labelled{look.paint.unlabelled[1]} "
        f"{look.paint.labelled[0]}labelled{look.paint.labelled[1]}",
        file=painted_output(),
    )
    suites = measured_suites(recipe.sweep)
    for trace in islice(read_and_filter(recipe.data, Ledger(), suites), look.count):
        print("\n".join(lines_of(trace, work, look)), file=painted_output(), flush=True)


def lines_of(trace: Trace, work: BatchWork, look: Look) -> Iterator[str]:
    """A heading, and the text of one trace or the reason why it is lost."""
    batch = work([trace])
    for dropped in batch.dropped:
        yield f"\n--- {printable(dropped.where)}: lost, {dropped.reason}: {printable(dropped.why)}"
    for fields in batch.rows.to_pylist():
        ids, prompt = fields["input_ids"], fields["prompt_tokens"]
        row = Row(fields["id"], ids, [IGNORED] * prompt + ids[prompt:], fields["shortened"])
        shortened = f", shortened from {batch.lengths[0]}" if row.shortened else ""
        yield f"\n--- {printable(row.id)}: {len(ids)} tokens{shortened}, {len(ids) - prompt} of them labelled"
        yield painted(row, work.labeller.tokenizer, look)


def painted(row: Row, tokenizer: PreTrainedTokenizerBase, look: Look) -> str:
    """The row's text, with unlabelled and labelled runs in their colours."""
    runs: list[tuple[bool, list[int]]] = []
    for token, label in zip(row.input_ids, row.labels, strict=True):
        if not runs or runs[-1][0] != (label != IGNORED):
            runs.append((label != IGNORED, []))
        runs[-1][1].append(token)
    write = _with_ids if look.ids else _as_text
    return "".join(
        write(ids, tokenizer, look.paint.labelled if labelled else look.paint.unlabelled, look.paint)
        for labelled, ids in runs
    )


def _as_text(ids: list[int], tokenizer: PreTrainedTokenizerBase, around: tuple[str, str], paint: Paint) -> str:
    text = str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
    return around[0] + printable(text) + around[1]


def _with_ids(ids: list[int], tokenizer: PreTrainedTokenizerBase, around: tuple[str, str], paint: Paint) -> str:
    table = token_bytes(tokenizer)
    words = [
        table[i].decode(errors="backslashreplace") if table else str(tokenizer.convert_ids_to_tokens(i)) for i in ids
    ]
    return "".join(
        f"{around[0]}{printable(word)}{around[1]}{paint.number[0]}{number}{paint.number[1]}"
        for word, number in zip(words, ids, strict=True)
    )


def printable(text: str) -> str:
    """The text without characters that would control a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)
