"""The house: which package may import which, and how long things may be. Read from the syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from recipes.paths import ROOT

MAY_IMPORT = {
    "launch": {"train"},
    "train": {"recipes", "runtime", "data_prep", "prune", "eval"},
    "eval": {"recipes", "runtime", "data_prep"},
    "prune": {"recipes", "runtime", "data_prep"},
    "data_prep": {"recipes", "runtime"},
    "runtime": {"recipes"},
    "recipes": set(),
}
HEAVY = {"torch", "transformers", "trl", "peft", "deepspeed", "datasets", "accelerate", "wandb", "numpy"}
SOURCES = [path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    """The first name of every module that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield path.relative_to(ROOT).parts[0] if node.level else str(node.module).partition(".")[0]


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """(name, lines) of every function of a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, int(node.end_lineno or 0) - node.lineno + 1


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_every_package_has_sources() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in SOURCES} == set(MAY_IMPORT)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_follow_the_arrows(package: str) -> None:
    known = {*MAY_IMPORT, "tests"}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in SOURCES
        if path.is_relative_to(ROOT / package)
        for name in imported(path)
        if name in known - MAY_IMPORT[package] - {package}
    ]
    assert wrong == []


def test_recipes_import_nothing_heavy() -> None:
    wrong = [
        f"{path.name}: {name}" for path in (ROOT / "recipes").glob("*.py") for name in imported(path) if name in HEAVY
    ]
    assert wrong == []


def test_the_entry_is_the_only_script_in_launch() -> None:
    assert [path.name for path in (ROOT / "launch").rglob("*.py")] == ["train.py"]


def test_no_module_is_a_drawer_for_anything() -> None:
    names = {"utils", "util", "helpers", "helper", "common", "misc"}
    everywhere = [*SOURCES, *(ROOT / "tests").rglob("*.py")]
    assert [str(path) for path in everywhere if names & {path.stem, *path.relative_to(ROOT).parts[:-1]}] == []


def test_files_have_at_most_300_lines() -> None:
    assert [(str(path), lines(path)) for path in SOURCES if lines(path) > 300] == []


def test_functions_have_at_most_60_lines() -> None:
    assert [(str(path), name, size) for path in SOURCES for name, size in functions(path) if size > 60] == []


def test_main_reads_on_one_page() -> None:
    assert lines(ROOT / "train" / "main.py") < 80


def test_the_trees_are_read_inside_functions() -> None:
    assert "deepspeed" in set(imported(ROOT / "train" / "processes.py"))
