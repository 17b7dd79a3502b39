"""`chainmend WORD`: each word starts its module, and mistakes are named."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from recipes.errors import UserError
from recipes.help import HelpAsked
from recipes.paths import ROOT
from tests.train.runs import environment
from tests.train.starts import completed
from train.command_line import COMMANDS, main


@pytest.mark.parametrize("word", COMMANDS)
def test_every_word_has_a_module_that_can_be_started(word: str) -> None:
    module = COMMANDS[word][0]
    found = importlib.util.find_spec(f"{module}.__main__") if _is_package(module) else importlib.util.find_spec(module)
    assert found is not None


def _is_package(module: str) -> bool:
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.submodule_search_locations is not None


@pytest.mark.parametrize("arguments", [[], ["--help"], ["help"]])
def test_alone_it_lists_the_words(arguments: list[str]) -> None:
    with pytest.raises(HelpAsked) as asked:
        main(arguments)
    assert len(str(asked.value).splitlines()) == len(COMMANDS)


def test_a_word_that_is_not_there_is_named_with_the_one_that_was_meant() -> None:
    with pytest.raises(UserError, match=r"chainmend exprot: unknown command; did you mean export\?"):
        main(["exprot", "run=x"])


def test_a_command_without_arguments_has_no_blank_before_its_meaning() -> None:
    with pytest.raises(HelpAsked) as asked:
        main([])
    assert " :" not in str(asked.value)


@pytest.mark.parametrize("gpus", ["0", "many", "-1"])
def test_a_number_of_ranks_that_is_none_is_refused(gpus: str) -> None:
    with pytest.raises(UserError, match="give one number of ranks of at least 1"):
        main(["train", "recipe=lora_recovery.yaml", f"gpus={gpus}"])


def test_a_command_gets_its_arguments_and_gives_its_code(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from train.command_line import command; command()", "report", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        f"{tmp_path}: not a run folder (it has no run.json); give one that launch/train.py wrote\n",
    )


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("gpus=1",)])
def test_training_starts_with_and_without_a_launcher(more: tuple[str, ...], tmp_path: Path) -> None:
    script = "from train.command_line import command; command()"
    keys = ["recipe=lora_recovery.yaml", "dry_run=true", "data.traces.size=20", f"data.cache_dir={tmp_path}"]
    done = completed(["-c", script, "train", *keys, *more], ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "dry run: recipe, data, suites, batch arithmetic and export are sound" in done.stdout
