"""Scripts that were written against earlier names of modules still run, and are told the names of today."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from data_prep import EARLIER
from recipes.paths import ROOT


@pytest.mark.parametrize("earlier", EARLIER)
def test_an_earlier_name_is_the_module_of_today(earlier: str) -> None:
    sys.modules.pop(earlier, None)
    with pytest.warns(DeprecationWarning, match=f"{earlier} is now {EARLIER[earlier]}"):
        module = import_module(earlier)
    today = import_module(EARLIER[earlier])
    assert module is today and today.__name__ == EARLIER[earlier]


def test_the_lines_of_earlier_scripts_run_in_a_fresh_process_and_the_warning_names_the_script() -> None:
    script = (
        "from data_prep.prompts import encode, render_prompt, think_format\n"
        "from data_prep.tokenize import Labeller\n"
        "from data_prep.traces import Trace\n"
        "from data_prep.pipeline import read_and_filter\n"
        "from data_prep.sources import read_source\n"
        "from data_prep.problems import Problem, Suite\n"
        "from data_prep.suites import load_suite\n"
        "import data_prep.tokens.tokenize as today\n"
        "assert Labeller is today.Labeller\n"
    )
    command = [sys.executable, "-W", "always::DeprecationWarning", "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "<string>:1: DeprecationWarning: data_prep.prompts is now data_prep.tokens.prompts" in done.stderr


def test_a_module_that_never_was_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError, match="data_prep.nowhere"):
        import_module("data_prep.nowhere")


def test_nothing_of_the_project_uses_an_earlier_name() -> None:
    sources = [
        path
        for folder in ("recipes", "runtime", "data_prep", "prune", "eval", "train", "launch", "tests")
        for path in (ROOT / folder).rglob("*.py")
    ]
    spared = {ROOT / "data_prep" / "__init__.py", ROOT / "tests" / "data_prep" / "test_init.py"}
    lines = [
        f"{path}: {name}"
        for path in sources
        if path not in spared
        for name in EARLIER
        if f"{name} import" in path.read_text(encoding="utf-8")
    ]
    assert lines == []
