"""The commands of docs/your_model.md, in small and in their order: each ends with 0, and the export is verified."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recipes.paths import ROOT
from tests.train.runs import environment

PAGE = (ROOT / "docs" / "your_model.md").read_text()
SMALL = {
    r"max_steps: 120": "max_steps: 4",
    r"save_steps: 60": "save_steps: 4",
    r"every_steps: 60": "every_steps: 4",
    r"problems: 256": "problems: 8",
    r"size: 256": "size: 16",
}
SHORTER = {"size: 1500": "size: 60", "train.plan recipe=mine.yaml": "train.plan recipe=mine.yaml base_gb=0.6"}
"""parts of commands that only set how long they take: problems to write traces for; a base that is not measured"""
ONE_PROCESS = """
import json, runpy, sys
for first, *rest in json.loads(sys.argv[1]):
    sys.argv = [first, *rest]
    print("command", *sys.argv, flush=True)
    try:
        if first.endswith(".py"):
            runpy.run_path(first, run_name="__main__")
        else:
            runpy.run_module(first, run_name="__main__", alter_sys=True)
    except SystemExit as left:
        if left.code:
            raise
print("all done")
"""
"""all commands in one process, which imports the libraries once"""


def commands() -> list[list[str]]:
    """What follows `python -m` or the launcher in the commands of the page, from `prune.inspect` on."""
    lines = re.findall(r"^ {4}((?:python|deepspeed) .*)$", PAGE, re.MULTILINE)
    for long, short in SHORTER.items():
        lines = [line.replace(long, short) for line in lines]
    words = [shlex.split(line, comments=True) for line in lines]
    return [each[2:] if each[1] == "-m" else [str(ROOT / each[1]), *each[2:]] for each in words]


@pytest.mark.slow
def test_the_commands_of_the_six_steps_end_well(tmp_path: Path) -> None:
    (recipe,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    for long, short in SMALL.items():
        recipe, found = re.subn(long, short, recipe)
        assert found >= 1
    (tmp_path / "mine.yaml").write_text(recipe)
    shutil.copytree(ROOT / "data_prep" / "nano_model", tmp_path / "my_model")
    steps = [each for each in commands() if each[0] != "eval.compare"]  # which needs another run
    assert [each[0].rpartition("/")[2] for each in steps].count("train.py") == 2 and len(steps) == 10
    done = subprocess.run(
        [sys.executable, "-c", ONE_PROCESS, json.dumps(steps)],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(ROOT), WANDB_MODE="disabled"),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0 and done.stdout.endswith("all done\n"), done.stdout[-2000:] + done.stderr[-3000:]
    assert "files of the model are as exported" in done.stdout and "nothing was uploaded" in done.stdout
