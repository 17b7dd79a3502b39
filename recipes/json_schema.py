"""`python -m recipes.json_schema`: the JSON schema of recipes, for editors; `recipes/recipe.schema.json` holds it.

    # yaml-language-server: $schema=…/recipes/recipe.schema.json        (the first line of a recipe)

Words that stand for a section (`teacher: unpruned`, names of thinking formats) are not part of it.
"""

from __future__ import annotations

import json

from recipes.command import run
from recipes.schema import Recipe
from recipes.trainer_fields import free_fields


def text() -> str:
    """The schema; a recipe may leave everything to its `extends:` parent, so nothing is required."""
    schema = Recipe.model_json_schema()
    schema["title"] = "chainmend recipe"
    schema["properties"] = {
        "extends": {"type": "string", "description": "the recipe under this one"},
        **schema["properties"],
    }
    schema["properties"]["trainer"]["propertyNames"] = {"enum": sorted(free_fields())}
    _relax(schema)
    return json.dumps(schema, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _relax(part: object) -> None:
    """Removes `required` from every section, except for the key that chooses a variant."""
    if isinstance(part, dict):
        part.pop("required", None)
        for inner in part.values():
            _relax(inner)
    elif isinstance(part, list):
        for inner in part:
            _relax(inner)


def main(arguments: list[str]) -> None:
    print(text(), end="")


if __name__ == "__main__":
    run(main)
