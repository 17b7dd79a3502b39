"""Over 150 wrong invocations of all commands: exit code 2, one to three lines that name the mistake, nothing else."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from recipes.command import run
from recipes.paths import ROOT
from tests.launch.wrong_invocations import TAKE_RECIPES, Wrong, by_hand, generated, placed
from tests.train.runs import MODEL, SCRIPT, environment

MODULES = {
    "launch": "train.main",
    "prune": "prune.__main__",
    "data_prep": "data_prep.__main__",
    "eval": "eval.__main__",
    "train.plan": "train.plan.__main__",
}
"""where the main of a command is; of the others it is in the module of their name"""
COMMANDS = {
    *("launch", "prune", "prune.inspect", "data_prep", "eval", "eval.grade", "eval.verdict", "eval.compare"),
    *("eval.generate", "train.plan", "train.export"),
}
LISTENED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
GENERATED = generated(120)
BY_HAND = by_hand({})
SLOW_TO_IMPORT = ("data_prep prepare", "data_prep preview", "data_prep score")
IN_PROCESSES = [
    *(wrong for wrong in GENERATED[: len(TAKE_RECIPES)] if wrong.command not in SLOW_TO_IMPORT),
    *(wrong for wrong in BY_HAND if str(wrong) in ("data_prep", "eval.grade", "eval.verdict", "eval.compare")),
]
"""one of each command that is quick to start"""


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """The handlers of signals as they were: a run listens for those that ask it to stop."""
    before = {number: signal.getsignal(number) for number in LISTENED}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "note.txt").write_text("a folder that is nothing in particular")
    (tmp_path / "file.jsonl").write_text("nothing\n")
    (tmp_path / "suite.jsonl").write_text('{"problem": "2+2?", "answer": "4"}\n')
    files = {"FOLDER": "folder", "FILE": "file.jsonl", "SUITE": "suite.jsonl", "OUT": "out"}
    return {"MODEL": MODEL, **{name: tmp_path / file for name, file in files.items()}}


def check(said: str, wrong: Wrong, places: dict[str, Path]) -> None:
    lines = [line for line in said.splitlines() if line.strip()]
    assert 1 <= len(lines) <= 3, said
    assert placed(wrong.names, places) in said
    assert "Traceback" not in said
    assert not places["OUT"].exists()


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [*GENERATED, *BY_HAND], ids=str)
def test_a_wrong_invocation_ends_with_code_2_and_says_why(
    wrong: Wrong, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *words = wrong.command.split()
    main = import_module(MODULES.get(command, command)).main
    monkeypatch.setattr(sys, "argv", ["x", *words, *(placed(argument, places) for argument in wrong.arguments)])
    with pytest.raises(SystemExit) as left:
        run(main)
    assert left.value.code == 2
    check(capsys.readouterr().err, wrong, places)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", IN_PROCESSES, ids=str)
def test_a_process_of_its_own_does_the_same(wrong: Wrong, places: dict[str, Path]) -> None:
    command, *words = wrong.command.split()
    start = [SCRIPT] if command == "launch" else ["-m", command]
    arguments = [*words, *(placed(argument, places) for argument in wrong.arguments)]
    done = subprocess.run(
        [sys.executable, *start, *arguments],
        cwd=places["FOLDER"],
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    check(done.stderr, wrong, places)


def test_they_are_many_and_of_every_command() -> None:
    counted = Counter(wrong.command.split()[0] for wrong in (*GENERATED, *BY_HAND))
    assert counted.total() >= 150 and counted.keys() == COMMANDS
    assert min(counted.values()) >= 7
    assert len({str(wrong) for wrong in (*GENERATED, *BY_HAND)}) == counted.total()
