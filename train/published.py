"""Makes recipes publishable: without paths of the machine and addresses of its network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from recipes.paths import find_path

LOCAL = "(local)"
"""replacement for a path or an address"""

PLACE_KEY = re.compile(r"(^|_)(dir|path|file|folder|url|python|scores)$")
"""recipe keys whose values are paths or addresses"""

OTHER_PLACES = (
    "run.resume",
    "zero.config",
    "prune.cut_from",
    "request.prune.cut_from",
    "details.request.prune.cut_from",
)
MODELS = ("unpruned", "pruned")
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
PATH = re.compile(r"(~|\.{1,2}/|[A-Za-z]:\\|/[^/<>\s]+/|file:).*")


def hub_id(name: str | None) -> str | None:
    """`name` if it is an id of the Hugging Face Hub; None for a folder, resolved as in a recipe."""
    is_id = name is not None and HUB_ID.fullmatch(name) and not Path(find_path(name)).exists()
    return name if is_id else None


def publishable(recipe: Any, key: str = "") -> Any:
    """The values of a recipe with `(local)` in place of every path, address and folder of a model.

    key: the dotted key of the values.
    """
    if isinstance(recipe, dict):
        return {name: publishable(value, f"{key}.{name}".lstrip(".")) for name, value in recipe.items()}
    if isinstance(recipe, list):
        return [publishable(value, key) for value in recipe]
    if not isinstance(recipe, str):
        return recipe
    name = key.rpartition(".")[2]
    is_choice = key == "run.resume" and recipe in ("auto", "never")
    is_place = (PLACE_KEY.search(name) or key in OTHER_PLACES) and not is_choice
    is_folder = key in [f"model.{model}" for model in MODELS] and hub_id(recipe) is None
    # A text of the thinking format may begin with a slash, but it is not a path.
    return LOCAL if is_place or is_folder or PATH.fullmatch(recipe) else recipe
