"""The house: who may import whom, between the floors and inside them, and how long things may be.

Read from the syntax trees. CONTRIBUTING.md draws the same map.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

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
"""floors: what a package may import beside itself"""

GROUND = {"grading", "trace", "problem", "ledger", "models", "fingerprint", "nano_world", "nano_ways"}
ABOVE_GROUND = ["commands", "prepared", "filtering", "suites", "traces", "tokens"]
"""the stair of data_prep: a room imports only rooms after it, and the ground"""

ROOMS: dict[str, set[str]] = {
    **{f"data_prep.{room}": {*ABOVE_GROUND[place + 1 :], *GROUND} for place, room in enumerate(ABOVE_GROUND)},
    **{f"data_prep.{module}": GROUND for module in sorted(GROUND)},
    "eval.numbers": {"types"},
    "eval.show": {"numbers", "types"},
    "eval.engines": {"budget_forcing", "http_calls", "protocol", "streams", "types"},
    "prune.align": set(),
    "prune.methods": {"align", "channels", "families", "forward", "gated", "low_rank", "merge", "plan"},
    "train.loss": set(),
}
"""rooms: what each may import of its own floor beside itself; a room that is not named may import all"""

IMPORTED_BY = {
    "data_prep.commands": {"data_prep.__main__"},
    "prune.methods": {"prune.make", "train.inputs", "train.sizes"},
    "train.hooks": {"train.main", "train.stages"},
    "train.plan": {"train.study"},
    "train.stages": {"train.main"},
    "train.main": {"launch.train", "train.__main__"},
}
"""rooms and modules that only these may import"""

HEAVY = {"torch", "transformers", "trl", "peft", "deepspeed", "datasets", "accelerate", "wandb", "numpy"}
PURE = {"torch", "transformers", "pathlib", "os", "sys", "io", "shutil"}
"""what eval/numbers does without: weights, files, the system"""

SOURCES = [path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
MOST_LINES, MOST_FUNCTION_LINES, MOST_PARAMETERS = 300, 60, 6


def name_of(path: Path) -> str:
    """The dotted name of a module."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[str]:
    """The dotted names that a file imports, inside functions too."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def floor_of(name: str) -> str:
    return name.partition(".")[0]


def room_of(name: str) -> str:
    """The floor and what lies directly on it: `data_prep.traces`, `train.main`."""
    return ".".join(name.split(".")[:2])


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All but kernels for a GPU, which take every pointer and stride by itself, one a line."""
    return (
        node
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and "triton.jit" not in map(ast.unparse, node.decorator_list)
    )


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_every_package_has_sources() -> None:
    assert {floor_of(name_of(path)) for path in SOURCES} == set(MAY_IMPORT)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_follow_the_arrows(package: str) -> None:
    forbidden = {*MAY_IMPORT, "tests"} - MAY_IMPORT[package] - {package}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in SOURCES
        if path.is_relative_to(ROOT / package)
        for name in imported(path)
        if floor_of(name) in forbidden
    ]
    assert wrong == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_lies_below_it(room: str) -> None:
    floor, own = room.split(".")
    modules = {room_of(name_of(path)) for path in SOURCES if floor_of(name_of(path)) == floor}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in SOURCES
        if room_of(name_of(path)) == room
        for name in imported(path)
        if room_of(name) in modules and room_of(name).split(".")[1] not in ROOMS[room] | {own}
    ]
    assert wrong == []


@pytest.mark.parametrize("room", IMPORTED_BY)
def test_a_room_is_entered_only_from_above(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in SOURCES
        for name in imported(path)
        if room_of(name) == room and room_of(name_of(path)) not in IMPORTED_BY[room] | {room}
    ]
    assert wrong == []


def test_numbers_are_pure() -> None:
    wrong = [
        f"{path.name} imports {name}"
        for path in (ROOT / "eval" / "numbers").glob("*.py")
        for name in imported(path)
        if floor_of(name) in PURE
    ]
    assert wrong == []


def test_recipes_import_nothing_heavy() -> None:
    wrong = [
        f"{path.name}: {name}"
        for path in (ROOT / "recipes").glob("*.py")
        for name in imported(path)
        if floor_of(name) in HEAVY
    ]
    assert wrong == []


def test_the_entry_is_the_only_script_in_launch() -> None:
    assert [path.name for path in (ROOT / "launch").rglob("*.py")] == ["train.py"]


def test_no_module_is_a_drawer_for_anything() -> None:
    names = {"utils", "util", "helpers", "helper", "common", "misc"}
    everywhere = [*SOURCES, *(ROOT / "tests").rglob("*.py")]
    assert [str(path) for path in everywhere if names & {path.stem, *path.relative_to(ROOT).parts[:-1]}] == []


def test_files_have_at_most_300_lines() -> None:
    assert [(str(path), lines(path)) for path in SOURCES if lines(path) > MOST_LINES] == []


def test_functions_have_at_most_60_lines() -> None:
    sizes = [(str(path), f.name, int(f.end_lineno or 0) - f.lineno + 1) for path in SOURCES for f in functions(path)]
    assert [(path, name, size) for path, name, size in sizes if size > MOST_FUNCTION_LINES] == []


def test_functions_have_at_most_six_parameters() -> None:
    """Beside self; `*args` and `**kwargs` count as none, and neither do the hooks of libraries."""
    wrong = []
    for path in SOURCES:
        for function in functions(path):
            parameters = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
            own = [parameter for parameter in parameters if parameter.arg not in ("self", "cls", "ctx")]
            if len(own) > MOST_PARAMETERS and not function.name.startswith("__"):
                wrong.append((str(path), function.name, len(own)))
    assert wrong == []


def test_main_reads_on_one_page() -> None:
    assert lines(ROOT / "train" / "main.py") < 80


def test_the_trees_are_read_inside_functions() -> None:
    assert "deepspeed" in set(imported(ROOT / "train" / "processes.py"))


def has_code(path: Path) -> bool:
    """Whether a module defines something that can be tested."""
    return any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree_of(path).body)


def test_of(path: Path) -> Path:
    """Where the test of a module stands; that of a package's `__main__` is test_main.py."""
    inside = path.relative_to(ROOT)
    return ROOT / "tests" / inside.with_name(f"test_{inside.stem.strip('_')}.py")


test_of.__test__ = False  # type: ignore[attr-defined] # not a test itself


@pytest.mark.parametrize("package", [package for package in MAY_IMPORT if package != "launch"])
def test_every_module_has_a_test_of_its_name(package: str) -> None:
    modules = [path for path in SOURCES if floor_of(name_of(path)) == package and has_code(path)]
    assert [name_of(path) for path in modules if not test_of(path).is_file()] == []


def test_every_test_has_a_module_of_its_name_or_is_a_scenario() -> None:
    """Scenarios span modules; what lies directly in tests/ looks at the repository itself."""
    modules = {test_of(path) for path in SOURCES}
    apart = {"scenarios", "launch", "bench"}
    wrong = [
        str(PurePosixPath(path.relative_to(ROOT)))
        for path in TESTS
        if path not in modules and path.parent != ROOT / "tests" and not apart & set(path.relative_to(ROOT).parts)
    ]
    assert wrong == []
