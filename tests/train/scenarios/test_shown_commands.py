"""The commands that the documentation shows, in small and in one process: each ends with 0.

tests/small_commands.py has the changes that make them small; tests/test_readme.py refuses a command that is neither run
here nor marked.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from recipes.paths import ROOT
from tests.small_commands import commands, set_up
from tests.train.runs import environment

ONE_PROCESS = """
import json, runpy, shlex, subprocess, sys, time, traceback

def run(line):
    if line.startswith(("cp ", "export ")) or " > " in line:
        return subprocess.run(["bash", "-c", line]).returncode
    first, *words = shlex.split(line)
    if first == "chainmend":
        from train.command_line import command
        sys.argv = [first, *words]
        return command()
    sys.argv = words[1:] if words[0] == "-m" else words
    if words[0] == "-m":
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")

failed = []
for line in json.load(open("commands.json")):
    print("command", line, flush=True)
    started = time.process_time()
    try:
        code = run(line)
    except SystemExit as left:
        code = left.code
    except Exception:
        code = traceback.format_exc()
    if code:
        failed.append(line)
        print("FAILED", code, file=sys.stderr, flush=True)
    print(f"took {time.process_time() - started:.1f} s of CPU", flush=True)
json.dump(failed, open("failed.json", "w"))
"""
"""all commands in one process, which imports the libraries once"""


def from_here(command: str) -> str:
    """The command with the repository's script, as the folder in which it runs is another one."""
    return re.sub(r"\blaunch/train\.py\b", str(ROOT / "launch" / "train.py"), command)


@pytest.mark.slow
def test_the_shown_commands_end_well(tmp_path: Path) -> None:
    set_up(tmp_path)
    (tmp_path / "commands.json").write_text(json.dumps([from_here(command) for command in commands()]))
    with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
        subprocess.run(
            [sys.executable, "-P", "-c", ONE_PROCESS],
            cwd=tmp_path,
            env=environment(PYTHONPATH=str(ROOT), WANDB_MODE="disabled", HF_HUB_OFFLINE="1"),
            stdout=out,
            stderr=err,
            timeout=900,
            check=True,
        )
    said, errors = (tmp_path / "out").read_text(), (tmp_path / "err").read_text()
    assert json.loads((tmp_path / "failed.json").read_text()) == [], errors[-3000:]
    assert "files of the model are as exported" in said and "nothing was uploaded" in said
