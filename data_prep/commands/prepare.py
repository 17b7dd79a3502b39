"""`python -m data_prep prepare recipe=FILE [key=value …]`: prepares traces as a run would, and shows the manifest."""

from __future__ import annotations

from data_prep.models import load_tokenizer
from data_prep.prepared.manifest import table
from data_prep.prepared.prepare import FIGURE, prepare
from data_prep.suites.confirm import measured_suites
from data_prep.tokens.prompts import think_format
from recipes.command import split
from recipes.loader import load_recipe
from recipes.schema import Recipe


def main(arguments: list[str]) -> None:
    _, rest = split(arguments, {}, Recipe)
    recipe = load_recipe(rest).recipe
    tokenizer = load_tokenizer(recipe.model.unpruned, recipe.model)
    prepared = prepare(
        recipe.data,
        tokenizer,
        think_format(recipe.data.format, tokenizer),
        print,
        measured_suites(recipe.sweep),
    )
    print(f"{table(prepared.manifest)}\nfigure  {prepared.folder / FIGURE}")
