"""`python -m prune recipe=FILE output=DIR [key=value ...]`: prunes the unpruned model and writes the result."""

from __future__ import annotations

from pathlib import Path

from recipes.command import run, split
from recipes.errors import UserError
from recipes.loader import load_recipe
from recipes.schema import Recipe


def main(arguments: list[str]) -> None:
    """Makes the pruned model, then prints its plan and, if the method scored layers, the score of each layer."""
    options, rest = split(arguments, {"output": "folder for the pruned model"}, Recipe)
    recipe = load_recipe(rest).recipe
    if not options.get("output"):
        raise UserError("prune: output=DIR is missing; name a folder for the pruned model")
    if recipe.prune is None:
        raise UserError(
            f"prune: the recipe names a model that is already pruned (model.pruned={recipe.model.pruned}); "
            "to prune one, give model.pruned=null prune.method=tail prune.layers=N"
        )
    from prune.calibration import set_of_recipe
    from prune.inspect import describe_plan
    from prune.make import make_pruned
    from runtime.libraries import calm_libraries

    calm_libraries(rank=0)
    output = Path(options["output"])
    plan = make_pruned(recipe.prune, recipe.model, lambda: set_of_recipe(recipe), output)
    print(f"{describe_plan(plan)}\nwritten    {output}")


if __name__ == "__main__":
    run(main)
