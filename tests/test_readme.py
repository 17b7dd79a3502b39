"""What the README and its companions tell a reader to type exists: targets, recipes with keys, modules, files."""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

from recipes.loader import load_recipe
from recipes.paths import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "launch" / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
LINES = [line for page in PAGES for line in page.read_text().splitlines()]
COMMANDS = [
    shlex.split(line.strip().rstrip("\\"), comments=True)
    for line in LINES
    if re.match(r" {4}(make|python|deepspeed|\S*sbatch) ", line)
]
TARGETS = sorted(set(re.findall(r"make ([a-z][a-z-]*)`?", " ".join(page.read_text() for page in PAGES))))
MODULES = sorted({words[2] for words in COMMANDS if words[:2] == ["python", "-m"]})
RECIPES = sorted(
    {
        " ".join(word for word in words if re.match(r"(recipe|[a-z_]+\.[a-z_.]+)=", word))
        for words in COMMANDS
        if any(word.startswith("recipe=") for word in words)
        and not re.search(r"_world\.yaml|recipe=study", " ".join(words))
    }
)


def test_the_pages_hold_commands() -> None:
    assert len(COMMANDS) > 10 and len(MODULES) > 5 and len(RECIPES) > 2


@pytest.mark.parametrize(
    "target", [t for t in TARGETS if t in ("demo", "test", "setup", "lint", "bench", "table", "gpu", "gpu-quick")]
)
def test_a_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("arguments", RECIPES)
def test_a_recipe_with_its_keys_is_sound(arguments: str) -> None:
    assert load_recipe([word for word in arguments.split() if not word.startswith("run.")]).recipe.sweep.budgets


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_module_is_a_command_with_help(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    with pytest.raises(SystemExit) as left:
        runpy.run_module(module, run_name="__main__")
    assert (left.value.code, "DIR" in (text := capsys.readouterr().out) or "=" in text) == (0, True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_of_the_repository_that_a_page_names_are_there(page: Path) -> None:
    folders = "train|eval|prune|data_prep|runtime|recipes|launch|tests|docs"
    files = re.findall(rf"`((?:{folders})/[\w/.-]+\.\w+)`", page.read_text())
    assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
