"""What README.md, launch/README.md, CONTRIBUTING.md and docs/*.md tell a reader to type exists, and is run or marked.

The commands are read by tests/shown_commands.py and run by tests/train/scenarios/test_shown_commands.py.
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
from tests.shown_commands import MARKS, PAGES, Shown, all_shown, python_blocks, settings_shown, shown_in
from tests.small_commands import ELSEWHERE, REPLACED, SMALL, commands
from train.command_line import COMMANDS as OF_CHAINMEND

TEXTS = {page: page.read_text() for page in PAGES}
TEXT = "\n".join(TEXTS.values())
ONLY_ON_THE_SITE = {"reference.md"}
"""pages that are made when the site is built (docs/site_hooks.py)"""

SHOWN = all_shown()
OURS = [shlex.split(each.text) for each in SHOWN if re.match(r"(python|deepspeed|\S*sbatch) ", each.text)]
TARGETS = sorted(set(re.findall(r"(?:`|^ {4})make ([a-z][a-z-]*)", TEXT, re.MULTILINE)))
MODULES = sorted({words[2] for words in OURS if re.match(r"python -m (?!venv|tests\.)", " ".join(words))})
NAMED = sorted({name.rstrip(".") for name in re.findall(r"(?<!/)\bpython -m ([a-z][\w.]*)", TEXT)} - {"venv", *MODULES})
RECIPES = sorted(
    {
        " ".join(word for word in words if re.match(r"(recipe|[a-z_]+\.[a-z_.]+)=", word))
        for words in OURS
        if any(word.startswith("recipe=") for word in words)
        and not re.search(r"_world\.yaml|recipe=study|recipe=mine|recipe=FILE", " ".join(words))
    }
)
PAGE = """Write `python -m eval` or `make lint` (takes long), and `python -m eval
model=DIR`; `deepspeed -q …` is a form.

    python -m eval model=A \\
        out=B    # two lines (needs GPUs)
    sweep.samples=2

```
$ make demo    # needs GPUs
    make nothing
```
"""


def test_commands_of_blocks_sentences_and_consoles_are_read_with_their_marks() -> None:
    page = ROOT / "page.md"
    assert shown_in(PAGE, page) == [
        Shown(page, 1, "make lint", "takes long"),
        Shown(page, 1, "python -m eval model=DIR"),
        Shown(page, 4, "python -m eval model=A out=B", "needs GPUs"),
        Shown(page, 9, "make demo", "needs GPUs"),
    ]


def test_the_pages_show_commands() -> None:
    assert len(SHOWN) > 150 and len(MODULES) > 15 and len(RECIPES) > 20 and len(commands()) > 80
    assert len(python_blocks()) == 1 and len(settings_shown()) > 8


def test_blocks_of_commands_are_indented_or_begin_with_a_dollar() -> None:
    """Others are taken for outputs, so that no command in them would be run."""
    assert set(re.findall(r"^ *```+(\w*)", TEXT, re.MULTILINE)) == {"", "json", "python", "yaml"}


def test_marks_are_those_that_the_contributing_guide_explains() -> None:
    assert [str(each) for each in SHOWN if each.mark and each.mark not in MARKS] == []
    assert {each.mark for each in SHOWN if each.mark} == set(MARKS)
    assert [mark for mark in MARKS if f"| `{mark}` |" not in TEXTS[ROOT / "CONTRIBUTING.md"]] == []


def test_a_command_has_one_mark_wherever_a_block_shows_it() -> None:
    blocks = [each for each in SHOWN if re.match(r" {4}|\$ ", TEXTS[each.page].splitlines()[each.line - 1])]
    marks: dict[str, set[str]] = {}
    for each in blocks:
        marks.setdefault(each.text, set()).add(each.mark)
    assert [text for text, found in marks.items() if len(found) > 1] == []


def test_every_placeholder_of_a_command_without_a_mark_has_something_in_its_place() -> None:
    """Where this fails: add what stands for the placeholder to tests/small_commands.py, or mark the command."""
    left = r"\b[A-Z]{2,}\b|=[A-Z]\b|…| \[|\|"
    assert [text for text in commands() if re.search(left, text) and not text.startswith("export ")] == []


def test_nothing_stands_ready_for_commands_that_are_not_shown() -> None:
    texts = [each.text for each in SHOWN]
    used = "\n".join(texts)
    assert [name for name in SMALL if f"{name}.yaml" not in used] == []
    assert [pattern for pattern in ELSEWHERE if not re.search(pattern, used)] == []
    assert [pattern for pattern, new in REPLACED if all(re.sub(pattern, new, text) == text for text in texts)] == []


@pytest.mark.parametrize("test", ELSEWHERE.values())
def test_another_test_that_runs_a_command_is_there(test: str) -> None:
    file, _, name = test.partition("::")
    assert f"def {name}(" in (ROOT / file).read_text()


@pytest.mark.parametrize("keys", settings_shown(), ids=" ".join)
def test_settings_that_a_block_shows_alone_are_sound(keys: list[str]) -> None:
    assert load_recipe(["recipe=lora_recovery.yaml", *keys]).recipe.sweep.suites


@pytest.mark.parametrize("target", TARGETS)
def test_a_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("arguments", RECIPES)
def test_a_recipe_with_its_keys_is_sound(arguments: str) -> None:
    assert load_recipe([word for word in arguments.split() if not word.startswith("run.")]).recipe.sweep.budgets


def test_modules_that_a_text_names_exist() -> None:
    assert NAMED and [name for name in NAMED if importlib.util.find_spec(name) is None] == []


def test_words_of_the_chainmend_command_exist() -> None:
    named = re.findall(r"`chainmend ([^`]*)`", TEXT)
    words = {part.split()[0] for line in named for part in line.split("|")}
    assert len(words) > 10 and words - set(OF_CHAINMEND) == set()


def test_words_of_the_data_prep_command_exist() -> None:
    words = {words[3] for words in OURS if words[:3] == ["python", "-m", "data_prep"]}
    assert len(words) > 4 and words - set(OF_DATA_PREP) == set()


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_module_shows_its_help(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    with pytest.raises(SystemExit) as left:
        runpy.run_module(module, run_name="__main__")
    assert (left.value.code, re.search("DIR|run|=|default", capsys.readouterr().out) is not None) == (0, True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_of_the_repository_that_a_page_names_exist(page: Path) -> None:
    folders = "train|eval|prune|data_prep|runtime|recipes|launch|tests|docs"
    files = re.findall(rf"`((?:{folders})/[\w/.-]+\.\w+)`", TEXTS[page])
    assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_that_exist(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", TEXTS[page])
    assert [link for link in links if link not in ONLY_ON_THE_SITE and not (page.parent / link).exists()] == []
