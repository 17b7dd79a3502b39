"""`python -m data_prep nano recipe=nano_world.yaml out=DIR`: builds the embedded reasoner from nothing."""

from __future__ import annotations

from pathlib import Path

from recipes.command import run, split
from recipes.errors import UserError
from recipes.loader import load
from recipes.nano import NanoRecipe


def main(arguments: list[str]) -> None:
    if not arguments or arguments[0] != "nano":
        raise UserError(f"data_prep: the first word must be nano, got {' '.join(arguments[:1]) or 'nothing'}; "
                        "write: python -m data_prep nano recipe=nano_world.yaml out=DIR")
    own, rest = split(arguments[1:], {"out": "folder for the model"}, NanoRecipe)
    recipe = load(rest, NanoRecipe)
    if "out" not in own:
        raise UserError("data_prep nano: out=DIR is missing, the folder for the model")
    from data_prep.nano_build import build

    build(recipe, Path(own["out"]))


if __name__ == "__main__":
    run(main)
