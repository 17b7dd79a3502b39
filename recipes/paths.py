"""Where files are looked up: recipes by name, and the relative paths that a recipe holds."""

from __future__ import annotations

from pathlib import Path

from recipes.errors import UserError

SHIPPED = Path(__file__).resolve().parent
ROOT = SHIPPED.parent


def find_path(value: str | Path) -> str:
    """The path to open for a path that a recipe holds, which may also be a Hub id.

    A relative path is looked up in the current folder, then in the repository's root. If it is in neither, the value is
    returned unchanged: it is a Hub id, or a path that its reader will report as missing.
    """
    path = Path(value).expanduser()
    if path.is_absolute() or path.exists() or not (ROOT / path).exists():
        return str(path) if str(value).startswith("~") else str(value)
    return str(ROOT / path)


def shipped_recipes() -> list[str]:
    """The names of the recipes in `recipes/`."""
    return sorted(path.name for path in SHIPPED.glob("*.yaml"))


def find_recipe(name: str, beside: Path | None = None, named_by: str = "recipe=") -> Path:
    """The recipe file that `name` means: a path (relative to `beside` or the current folder), else a shipped recipe.

    named_by: what the user wrote before the name. Raises UserError naming the shipped recipes if there is no such
    file.
    """
    names = [name] if name.endswith((".yaml", ".yml")) else [name, name + ".yaml"]
    folders = [beside or Path(), SHIPPED, ROOT]
    for path in (folder / Path(text).expanduser() for folder in folders for text in names):
        if path.is_file():
            return path
    raise UserError(f"{named_by}{name}: no such file, here or in {SHIPPED}; shipped: {', '.join(shipped_recipes())}")
