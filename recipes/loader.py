"""Arguments to a checked recipe: `recipe=FILE key.sub=value ...`.

Precedence: schema defaults < the `extends:` parent < the recipe file < the arguments. Mappings are merged key by key,
lists are replaced (`sweep.suites.0.size=64` changes one element). A value is YAML: `5e-4`, `[1, 2]`, `null`, text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from recipes.aliases import in_own_names
from recipes.errors import UserError
from recipes.faults import fault_lines
from recipes.help import HelpAsked, asks_for_help, help_text, keys_text
from recipes.layers import holds, merge, nest
from recipes.paths import find_recipe, shipped_recipes
from recipes.reading import parse_value, read_mapping, write
from recipes.schema import Recipe

T = TypeVar("T", bound=BaseModel)
MOST_FAULTS = 15


@dataclass(frozen=True)
class Loaded(Generic[T]):
    """A checked recipe, the stem of its file's name, the file, and the arguments that gave it."""

    recipe: T
    name: str
    path: Path
    command: tuple[str, ...]


def load_recipe(arguments: Sequence[str]) -> Loaded[Recipe]:
    """The run's recipe. Raises UserError with one line per fault, and HelpAsked for --help."""
    return load_as(arguments, Recipe)


def load(arguments: Sequence[str], schema: type[T] = Recipe) -> T:  # type: ignore[assignment]
    """A recipe of the type `schema`. Raises as `load_recipe` does."""
    return load_as(arguments, schema).recipe


def load_as(arguments: Sequence[str], schema: type[T]) -> Loaded[T]:
    """A recipe of the type `schema` with its name and origin. Raises as `load_recipe` does."""
    if asks_for_help(arguments):
        raise HelpAsked(help_text(schema, arguments))
    pairs, faults = parse_arguments(arguments)
    files = [text for key, text in pairs if key == "recipe"]
    overrides, more_faults = nest([(key, value) for key, value in pairs if key != "recipe"])
    faults += more_faults
    if len(files) != 1 or not isinstance(files[0], str):
        say = "give one recipe=FILE" + (f", got {len(files)}" if files else "")
        raise UserError(_joined([*faults, f"{say}; shipped: {', '.join(shipped_recipes())}"]))
    path = find_recipe(files[0])
    layers = [*read_layers(path), ("", overrides)]
    recipe = _validated(layers, schema, faults)
    command = tuple(argument for argument in arguments if not _is_local_rank(argument))
    return Loaded(recipe, path.stem, path, command)


def load_layers(path: Path, layers: Sequence[Sequence[str]], schema: type[T]) -> Loaded[T]:
    """The recipe file `path` with several lists of `key=value` laid over it in order, each like the arguments of a
    command. Raises UserError as `load_recipe` does."""
    contents: list[tuple[str, dict[str, Any]]] = []
    faults: list[str] = []
    for layer in layers:
        pairs, wrong = parse_arguments(layer)
        content, more = nest(pairs)
        contents.append(("", content))
        faults += [*wrong, *more]
    recipe = _validated([*read_layers(path), *contents], schema, faults)
    return Loaded(recipe, path.stem, path, tuple(argument for layer in layers for argument in layer))


def load_arguments(arguments: Sequence[str], schema: type[T]) -> T:
    """`key=value` arguments alone, without a recipe file, as the section `schema`. Raises as `load_recipe` does."""
    if asks_for_help(arguments):
        raise HelpAsked(keys_text(schema))
    pairs, faults = parse_arguments(arguments)
    content, more_faults = nest(pairs)
    return _validated([("", content)], schema, faults + more_faults)


def to_yaml(recipe: BaseModel) -> str:
    """The recipe with every default filled in, as YAML that loads to an equal recipe."""
    return write(recipe.model_dump(mode="json"))


def parse_arguments(arguments: Sequence[str]) -> tuple[list[tuple[str, Any]], list[str]]:
    """(key, value) of every argument, and the faults of those that are not `key=value`."""
    pairs: list[tuple[str, Any]] = []
    faults: list[str] = []
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if _is_local_rank(argument):
            continue
        if argument.startswith("-"):
            faults.append(f"{argument}: flags are not known; write recipe=FILE and key=value, without dashes")
        elif not equals or not all(key.split(".")):
            faults.append(f"{argument}: must be key=value, such as recipe=lora_recovery.yaml or trainer.max_steps=10")
        else:
            try:
                pairs.append((key, text if key == "recipe" else parse_value(text)))
            except ValueError as error:
                faults.append(f"{key}={text}: not a YAML value ({error}); put it in quotes")
    return pairs, faults


def _is_local_rank(argument: str) -> bool:
    return argument.startswith(("--local_rank=", "--local-rank="))  # the DeepSpeed and torch launchers add it


def read_layers(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """(file name, content) of a recipe and its parents, the eldest first.

    Raises UserError if a parent is missing or a file is its own ancestor.
    """
    layers: list[tuple[str, dict[str, Any]]] = []
    seen: list[Path] = []
    current: Path | None = path
    while current is not None:
        if current.resolve() in seen:
            chain = " -> ".join(file.name for file in [*seen, current])
            raise UserError(f"{path}: extends itself ({chain})")
        seen.append(current.resolve())
        content = read_mapping(current)
        parent = content.pop("extends", None)
        layers.insert(0, (current.name, content))
        current = None if parent is None else _parent(parent, current)
    return layers


def _parent(name: Any, child: Path) -> Path:
    if not isinstance(name, str):
        raise UserError(f"{child}: extends must name one file, got {name}")
    return find_recipe(name, beside=child.parent, named_by=f"{child}: extends ")


def _validated(layers: list[tuple[str, dict[str, Any]]], schema: type[T], faults: list[str]) -> T:
    content: dict[str, Any] = {}
    named: list[tuple[str, dict[str, Any]]] = []
    for name, layer in layers:
        two_names: list[str] = []
        named.append((name, in_own_names(layer, content, schema, two_names)))
        faults = faults + [line + (f" [{name}]" if name else "") for line in two_names]
        try:
            content = merge(content, named[-1][1], schema)
        except UserError as error:
            raise UserError(_joined([*faults, str(error)])) from None
    try:
        recipe = schema.model_validate(content)
    except ValidationError as error:
        faults = faults + [line + _origin(key, named) for key, line in fault_lines(error, schema)]
    if faults:
        raise UserError(_joined(faults))
    return recipe


def _origin(key: str, layers: list[tuple[str, dict[str, Any]]]) -> str:
    """The file that set the key, if an argument did not."""
    name = next((name for name, layer in reversed(layers) if key and holds(layer, key)), "")
    return f" [{name}]" if name else ""


def _joined(faults: list[str]) -> str:
    rest = len(faults) - MOST_FAULTS
    return "\n".join(faults[:MOST_FAULTS] + ([f"and {rest} more faults"] if rest > 0 else []))
