"""`python -m data_prep COMMAND …`: prepare and preview a recipe's traces, build the embedded reasoner."""

from __future__ import annotations

from pathlib import Path

from recipes.command import run, split
from recipes.errors import UserError
from recipes.loader import load, load_recipe
from recipes.nano import NanoRecipe
from recipes.schema import Recipe


def main(arguments: list[str]) -> None:
    command = COMMANDS.get(arguments[0] if arguments else "")
    if command is None:
        raise UserError(f"data_prep: the first word must be {', '.join(COMMANDS)}; got "
                        f"{' '.join(arguments[:1]) or 'nothing'}; "
                        "write for example: python -m data_prep preview recipe=lora_recovery.yaml")
    command(arguments[1:])


def nano(arguments: list[str]) -> None:
    """`nano recipe=nano_world.yaml out=DIR`: builds the embedded reasoner from nothing."""
    own, rest = split(arguments, {"out": "folder for the model"}, NanoRecipe)
    recipe = load(rest, NanoRecipe)
    if "out" not in own:
        raise UserError("data_prep nano: out=DIR is missing, the folder for the model")
    from data_prep.nano_build import build

    build(recipe, Path(own["out"]))


def prepare(arguments: list[str]) -> None:
    """`prepare recipe=FILE [key=value …]`: prepares the traces as a run would, and shows the manifest."""
    _, rest = split(arguments, {}, Recipe)
    recipe = load_recipe(rest).recipe
    from data_prep.manifest import table
    from data_prep.models import load_tokenizer
    from data_prep.prepared import FIGURE
    from data_prep.prepared import prepare as make
    from data_prep.prompts import think_format

    tokenizer = load_tokenizer(recipe.model.unpruned, recipe.model)
    prepared = make(recipe.data, tokenizer, think_format(recipe.data.format, tokenizer), print)
    print(f"{table(prepared.manifest)}\nfigure  {prepared.folder / FIGURE}")


def preview(arguments: list[str]) -> None:
    """`preview recipe=FILE [n=3] [ids=true] [colour=always]`: shows the first rows as the model will see them."""
    own, rest = split(arguments, {"n": "how many rows; default 3", "ids": "true: every token with its id",
                                  "colour": "auto (a terminal gets colours), always or never"}, Recipe)
    recipe = load_recipe(rest).recipe
    from data_prep.preview import Look, look_of, show

    look: Look = look_of(own)
    show(recipe, look)


COMMANDS = {"prepare": prepare, "preview": preview, "nano": nano}

if __name__ == "__main__":
    run(main)
