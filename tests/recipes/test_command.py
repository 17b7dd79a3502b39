"""The grammar and the exit codes that every command shares."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from recipes.command import split
from recipes.errors import UserError
from recipes.help import HelpAsked
from recipes.paths import ROOT
from recipes.schema import Recipe

OWN = {"out": "folder to write", "model": "folder to read"}


def run(body: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command whose main has the given body, in a process of its own."""
    imports = "from recipes.command import run\nfrom recipes.errors import UserError\n"
    command = [sys.executable, "-c", f"{imports}def main(arguments):\n    {body}\nrun(main)", *arguments]
    return subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_own_keys_are_taken_out_and_the_rest_keeps_its_order() -> None:
    assert split(["recipe=a.yaml", "out=x", "file.jsonl", "seed=1"], OWN) == (
        {"out": "x"},
        ["recipe=a.yaml", "file.jsonl", "seed=1"],
    )


def test_an_own_value_stays_text_with_its_equals_signs() -> None:
    assert split(["out=1=2"], OWN)[0] == {"out": "1=2"}


def test_a_dotted_key_is_not_an_own_key() -> None:
    assert split(["model.pruned=x"], OWN) == ({}, ["model.pruned=x"])


def test_an_own_key_given_twice_is_refused() -> None:
    with pytest.raises(UserError, match=r"^out=b: given twice \(first as a\); write it once$"):
        split(["out=a", "out=b"], OWN)


def test_help_begins_with_the_own_keys() -> None:
    with pytest.raises(HelpAsked, match=r"(?s)^out=\.\.\.: folder to write\n.*sweep\.budgets: list of int, required"):
        split(["--help"], OWN, Recipe)


def test_done_is_0() -> None:
    assert run("print(arguments)", "a=1").stdout == "['a=1']\n"


def test_the_code_of_main_is_the_exit_code() -> None:
    assert run("return 75").returncode == 75


def test_a_users_mistake_is_2_with_the_message_alone() -> None:
    done = run("raise UserError('a=1: wrong')")
    assert (done.returncode, done.stderr) == (2, "a=1: wrong\n")


def test_another_rank_than_0_is_silent() -> None:
    done = run("raise UserError('a=1: wrong')", RANK="3")
    assert (done.returncode, done.stderr) == (2, "")


def test_an_interrupt_is_130() -> None:
    done = run("raise KeyboardInterrupt")
    assert (done.returncode, done.stderr) == (130, "")


def test_a_bug_is_1_with_its_traceback() -> None:
    done = run("return 1 / 0")
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr


def test_a_broken_pipe_that_is_not_the_output_is_a_bug() -> None:
    assert "BrokenPipeError" in run("raise BrokenPipeError").stderr


def test_help_is_0_on_the_standard_output() -> None:
    done = run("from recipes.loader import load_recipe; load_recipe(arguments)", "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: recipe=FILE [key=value ...]\n")


def test_a_reader_that_leaves_early_causes_no_complaint(tmp_path: Path) -> None:
    script = tmp_path / "many.py"
    body = "run(lambda arguments: [print('x' * 99) for _ in range(9999)] and 0)\n"
    script.write_text(f"from recipes.command import run\n{body}")
    done = subprocess.run(
        f"{sys.executable} {script} | head -1",
        shell=True,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""


def test_an_own_key_that_is_misspelt_is_not_taken_for_the_recipes() -> None:
    with pytest.raises(UserError, match=r"sample=.*did you mean samples\?"):
        split(["sample=2"], {"samples": "thoughts a problem"}, Recipe)


def test_a_file_may_be_called_nearly_as_a_key() -> None:
    assert split(["sample"], {"samples": "thoughts a problem"}, Recipe) == ({}, ["sample"])


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("OSError(28, 'No space left on device', '/x')", "cannot be written: [Errno 28] No space left on device: '/x'"),
        ("OSError(27, 'File too large')", "cannot be written: [Errno 27] File too large"),
        ("OSError(12, 'Cannot allocate memory')", "not enough main memory: [Errno 12] Cannot allocate memory"),
        ("MemoryError()", "not enough main memory: MemoryError"),
        (
            'RuntimeError("[enforce fail at alloc_cpu.cpp:125] . CPUAllocator: can\'t allocate memory: 8 bytes")',
            "not enough main memory: [enforce fail at alloc_cpu.cpp:125]",
        ),
    ],
)
def test_a_machine_that_is_full_is_one_line(fault: str, said: str) -> None:
    done = run(f"raise {fault}")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert done.stderr.startswith(said)


@pytest.mark.parametrize("fault", ["OSError(5, 'Input/output error')", "RuntimeError('shapes differ')"])
def test_any_other_fault_keeps_its_traceback(fault: str) -> None:
    done = run(f"raise {fault}")
    assert (done.returncode, "Traceback" in done.stderr) == (1, True)
