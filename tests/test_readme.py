"""What the README and the pages of docs/ tell a reader to type exists: targets, recipes with keys, modules, files.

A command of another program is marked `# not run here`.
"""

from __future__ import annotations

import importlib.util
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

from data_prep.__main__ import COMMANDS as OF_DATA_PREP
from recipes.loader import load_recipe
from recipes.paths import ROOT
from train.command_line import COMMANDS as OF_CHAINMEND

PAGES = [
    ROOT / "README.md",
    ROOT / "launch" / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
TEXTS = {page: page.read_text() for page in PAGES}
TEXT = "\n".join(TEXTS.values())
ONLY_ON_THE_SITE = {"reference.md"}
"""pages that are made when the site is built (docs/site_hooks.py)"""

SHOWN = [line.strip().removeprefix("$ ") for line in TEXT.splitlines() if re.match(r"( {4}|\$ )\S", line)]
COMMANDS = [
    shlex.split(line.rstrip("\\"), comments=True)
    for line in SHOWN
    if re.match(r"(make|python|deepspeed|\S*sbatch) ", line)
]
OTHERS = [line for line in SHOWN if re.match(r"(python3|\S+/python|lm_eval|vllm|hf|ollama|llama-\S+) ", line)]
TARGETS = sorted(set(re.findall(r"(?:`|^ {4})make ([a-z][a-z-]*)", TEXT, re.MULTILINE)))
MODULES = sorted({words[2] for words in COMMANDS if re.match(r"python -m (?!venv|tests\.)", " ".join(words))})
NAMED = sorted({name.rstrip(".") for name in re.findall(r"(?<!/)\bpython -m ([a-z][\w.]*)", TEXT)} - {"venv", *MODULES})
RECIPES = sorted(
    {
        " ".join(word for word in words if re.match(r"(recipe|[a-z_]+\.[a-z_.]+)=", word))
        for words in COMMANDS
        if any(word.startswith("recipe=") for word in words)
        and not re.search(r"_world\.yaml|recipe=study|recipe=mine", " ".join(words))
    }
)


def test_the_pages_hold_commands() -> None:
    assert len(COMMANDS) > 10 and len(MODULES) > 5 and len(RECIPES) > 2


def test_a_command_of_another_program_is_marked() -> None:
    assert OTHERS and [line for line in OTHERS if "# not run here" not in line] == []


@pytest.mark.parametrize("target", TARGETS)
def test_a_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("arguments", RECIPES)
def test_a_recipe_with_its_keys_is_sound(arguments: str) -> None:
    assert load_recipe([word for word in arguments.split() if not word.startswith("run.")]).recipe.sweep.budgets


def test_modules_that_are_named_in_a_text_are_there() -> None:
    assert NAMED and [name for name in NAMED if importlib.util.find_spec(name) is None] == []


def test_words_of_the_one_command_are_known() -> None:
    named = re.findall(r"`chainmend ([^`]*)`", TEXT)
    words = {part.split()[0] for line in named for part in line.split("|")}
    assert len(words) > 10 and words - set(OF_CHAINMEND) == set()


def test_words_of_the_commands_of_the_data_are_known() -> None:
    words = {words[3] for words in COMMANDS if words[:3] == ["python", "-m", "data_prep"]}
    assert len(words) > 4 and words - set(OF_DATA_PREP) == set()


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_module_is_a_command_with_help(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    with pytest.raises(SystemExit) as left:
        runpy.run_module(module, run_name="__main__")
    assert (left.value.code, re.search("DIR|run|=", capsys.readouterr().out) is not None) == (0, True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_of_the_repository_that_a_page_names_are_there(page: Path) -> None:
    folders = "train|eval|prune|data_prep|runtime|recipes|launch|tests|docs"
    files = re.findall(rf"`((?:{folders})/[\w/.-]+\.\w+)`", TEXTS[page])
    assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", TEXTS[page])
    assert [link for link in links if link not in ONLY_ON_THE_SITE and not (page.parent / link).exists()] == []
