"""The private and undocumented names of the libraries that the code leans on: is each there, and as it is taken?

A release that changes one fails here, by name and within seconds, and not in a launch. A private name that the code
begins to use must be put into `tests/library_uses.py`; one that it uses no more must go.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import pytest

from recipes.paths import ROOT
from tests.library_uses import USES, Check, Use, says, takes

PACKAGES = ("launch", "train", "eval", "prune", "data_prep", "runtime", "recipes")
STANDARD = {"_exit", "_Hash"}
"""of the standard library: os._exit is documented, hashlib._Hash is a type for annotations"""
OURS = "_chainmend"
"""how a name begins that the code itself puts on an object of a library"""
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


@cache
def source_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def leaning(name: str) -> list[str]:
    """The modules of the code in which the word stands."""
    word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    return [str(path.relative_to(ROOT)) for path in SOURCES if word.search(source_of(path))]


def library_object(upstream: str) -> Any:
    """The object of a library; None where it is gone."""
    module, _, path = upstream.partition(":")
    try:
        thing: Any = import_module(module)
        for name in filter(None, path.split(".")):
            thing = getattr(thing, name)
    except (ImportError, AttributeError):
        return None
    return thing


@pytest.mark.parametrize("use", USES, ids=[f"{number}-{use}" for number, use in enumerate(USES)])
@pytest.mark.filterwarnings("ignore")
def test_a_name_of_a_library_is_there_as_it_is_taken(use: Use) -> None:
    library = use.upstream.partition(":")[0].partition(".")[0]
    thing = library_object(use.upstream)
    assert thing is not None and use.check(thing), (
        f"{', '.join(leaning(use.name))} leans on {use.upstream}, {use.taken}: "
        f"{library} {metadata.version(library)} has {'nothing of that name' if thing is None else 'it otherwise'}"
    )


def step(model: str, norm: float | None = None) -> str:
    """A function of a library, for the test below."""
    return f"{model} before {norm}"


@pytest.mark.parametrize(
    ("check", "passes"),
    [
        (takes("model", "norm")[0], True),
        (takes("model")[0], True),
        (takes("norm", "model")[0], False),
        (takes()[0], False),
        (says("{model}", "{norm}")[0], True),
        (says("{norm}", "{model}")[0], False),
    ],
    ids=["all", "the rest has defaults", "another order", "one is missing", "in order", "in another order"],
)
def test_the_checks_tell_a_changed_function(check: Check, passes: bool) -> None:
    assert check(step) is passes


def private(name: str) -> bool:
    dunder = name.startswith("__") and name.endswith("__")
    return name.startswith("_") and len(name) > 1 and not dunder and not name.startswith(OURS)


def own_names(tree: ast.AST) -> set[str]:
    """Names that a file itself defines: functions, classes, variables, attributes of self."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            names.add(node.attr)
    return names


def names_in(node: ast.AST, own: set[str]) -> Iterator[str]:
    """Names that a node takes from a library: attributes, imports, keywords, texts of getattr and its like."""
    if isinstance(node, ast.Attribute) and (node.attr not in own or ast.unparse(node.value) == "super()"):
        yield node.attr
    elif isinstance(node, ast.ImportFrom):
        yield from (node.module or "").split(".")
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.Import):
        yield from (part for alias in node.names for part in alias.name.split("."))
    elif isinstance(node, ast.keyword):
        yield node.arg or ""
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr", "setattr"):
        yield from (text.value for text in node.args[1:2] if isinstance(text, ast.Constant))


def private_uses(source: str) -> set[str]:
    """The private names of others in a file."""
    tree = ast.parse(source)
    own = own_names(tree)
    return {name for node in ast.walk(tree) for name in names_in(node, own) if private(name)} - STANDARD


def test_every_private_name_in_the_code_is_listed() -> None:
    listed = {use.name for use in USES}
    missing = {
        str(path.relative_to(ROOT)): sorted(names)
        for path in SOURCES
        if (names := private_uses(source_of(path)) - listed)
    }
    assert missing == {}, (
        f"new private names of libraries; do without, or name them in tests/library_uses.py: {missing}"
    )


def test_every_listed_name_is_in_the_code() -> None:
    assert [use.name for use in USES if not leaning(use.name)] == []


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("model._private(1)", {"_private"}),
        ("class A:\n    def _mine(self): self._mine()", set()),
        ("class A(B):\n    def _theirs(self): super()._theirs()", {"_theirs"}),
        ("from torch._subclasses import fake_tensor", {"_subclasses"}),
        ("from trl import _SIZE", {"_SIZE"}),
        ("trainer.save_model(_internal_call=True)", {"_internal_call"}),
        ("getattr(model, '_hidden', None)", {"_hidden"}),
        ("os._exit(0)\nx.__dict__\noptimizer._chainmend_guarded = True", set()),
    ],
)
def test_the_scan_sees_private_names_of_others(source: str, names: set[str]) -> None:
    assert private_uses(source) == names
