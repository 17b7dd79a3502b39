"""The pages agree with the program (error texts, recipes, sources of traces), and their links work on the site."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import yaml

from recipes.loader import load_recipe
from recipes.paths import ROOT

HOOKS = runpy.run_path(str(ROOT / "docs" / "site_hooks.py"))
with_links_of_the_site = cast("Callable[[str, Path], str]", HOOKS["with_links_of_the_site"])
REQUEST = cast("re.Pattern[str]", HOOKS["REQUEST"])
PACKAGES = ("recipes", "runtime", "data_prep", "prune", "eval", "train")
SOURCES = re.findall(r"\| `(\{source: [^…`]*\})` \|$", (ROOT / "docs" / "your_traces.md").read_text(), re.MULTILINE)
MESSAGES = re.findall(r"^\| `(.+?)` \|", (ROOT / "docs" / "troubleshooting.md").read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def said() -> str:
    """The code of all packages, with texts that go over several lines joined."""
    code = "".join(path.read_text() for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return re.sub(r'"\s*\n\s*[rf]*"', "", code).replace("{{", "{").replace("}}", "}")


def test_about_thirty_errors_are_explained() -> None:
    assert len(MESSAGES) > 30 and len(set(MESSAGES)) == len(MESSAGES)


@pytest.mark.parametrize("message", MESSAGES)
def test_an_explained_error_is_one_that_the_program_raises(message: str, said: str) -> None:
    pieces = [piece.strip() for piece in message.split("…")]
    assert [piece for piece in pieces if len(piece) > 3 and piece not in said] == []


def test_the_recipe_of_the_six_steps_is_sound(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "your_model.md").read_text(), re.DOTALL)
    (tmp_path / "mine.yaml").write_text(text)
    assert load_recipe([f"recipe={tmp_path / 'mine.yaml'}"]).recipe.sweep.budgets == [16, 32, 64, 96, 128]


@pytest.mark.parametrize(
    ("text", "folder", "on_the_site"),
    [
        ("[a](docs/sweeps.md)", ".", "[a](sweeps.md)"),
        ("[a](../launch/README.md#what-was-run-where)", "docs", "[a](launch.md#what-was-run-where)"),
        ("[a](../docs/plan.md)", "launch", "[a](plan.md)"),
        ("[a](sweeps.md#numbers)", "docs", "[a](sweeps.md#numbers)"),
        ("![a](docs/recovery.png)", ".", "![a](recovery.png)"),
        ("[a](https://arxiv.org/abs/2510.22228)", "docs", "[a](https://arxiv.org/abs/2510.22228)"),
        ("[a](#answers)", "docs", "[a](#answers)"),
    ],
)
def test_links_of_the_repository_become_links_of_the_site(text: str, folder: str, on_the_site: str) -> None:
    assert with_links_of_the_site(text, Path(folder)) == on_the_site


@pytest.mark.parametrize(
    ("html", "requested"),
    [
        ('<script src="https://unpkg.com/a.js"></script>', 1),
        ('<link rel="stylesheet" href="//fonts.example/a.css">', 1),
        ('<img alt="a" src="http://host/a.png">', 1),
        ('<link rel="canonical" href="https://host/">', 0),
        ('<script src="assets/a.js"></script><img src="recovery.png">', 0),
        ('<a href="https://arxiv.org/abs/2510.22228">paper</a>', 0),
    ],
)
def test_requests_of_a_page_to_another_host_are_found(html: str, requested: int) -> None:
    assert len(REQUEST.findall(html)) == requested


def test_the_navigation_names_every_page_once() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    named = sorted(re.findall(r": (\w+\.md)$", text[text.index("\nnav:") :], re.MULTILINE))
    written = [path.name for path in (ROOT / "docs").glob("*.md")]
    assert named == sorted([*written, "index.md", "launch.md", "contributing.md", "reference.md"])
    assert yaml.safe_load(text)["strict"] is True


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_of_traces_that_a_page_shows_is_valid(source: str) -> None:
    found = load_recipe(["recipe=lora_recovery.yaml", f"data.traces={source}"]).recipe.data.traces
    assert found.source == yaml.safe_load(source)["source"]


def test_the_page_of_traces_shows_three_sources() -> None:
    assert len(SOURCES) == 3
