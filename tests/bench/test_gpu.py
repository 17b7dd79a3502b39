"""The command of a GPU: without one it does nothing; its parts are ended in time; what tests and parts said is read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from recipes.paths import ROOT
from tests.bench.gpu import FULL, QUICK, main, part, run_for, seen_of

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestCollectionWarning")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_one_line_code_2_and_nothing_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "gpu.md"
    page.write_text("as it was")
    assert main([], page) == 2
    assert (page.read_text(), capsys.readouterr().err.count("\n")) == ("as it was", 1)


def test_the_minutes_that_are_promised_hold_all_parts() -> None:
    spare = 10 * 3  # a part may take as long to end
    assert FULL.tests + FULL.training + FULL.sweep + FULL.memory + spare <= 20 * 60 + spare
    assert QUICK.tests + QUICK.training + QUICK.sweep + QUICK.memory <= 5 * 60


def test_a_command_is_ended_with_all_that_it_started() -> None:
    said, problem = run_for(["bash", "-c", "echo first; sleep 60 & sleep 60"], 0.5)
    assert (said, problem) == ("first\n", "not through after 0 s")


def test_a_part_that_is_not_there_is_named() -> None:
    (row,) = part("a part", "tests.bench.no_such_part", 5, ())
    assert (row["value"], row["note"]) == (None, "there is no tests.bench.no_such_part")


def test_rows_of_a_part_that_fails_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failing_part.py").write_text(
        'print("noise"); print(\'{"name": "a", "value": 1}\'); raise SystemExit(3)'
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    rows = part("a part", "failing_part", 20, ())
    assert [(row["name"], row["value"]) for row in rows] == [("a", 1), ("a part", None)]
    assert rows[1]["note"] == "ended with code 3"


def test_outcomes_become_counts_and_reasons() -> None:
    seen = [
        {"test": "a", "outcome": "passed", "reason": ""},
        {"test": "b", "outcome": "failed", "reason": ""},
        {"test": "b", "outcome": "failed", "reason": ""},  # in its call, and again in its end
        {"test": "c", "outcome": "skipped", "reason": "needs 2 GPUs"},
        {"test": "d", "outcome": "skipped", "reason": "needs 2 GPUs"},
    ]
    found = seen_of(seen, 9.0, "ended with code 1")
    assert (found.passed, found.failed, found.skipped, found.problem) == (1, ("b",), {"needs 2 GPUs": 2}, "")


def test_tests_that_were_not_through_are_a_problem() -> None:
    found = seen_of([{"test": "a", "outcome": "passed", "reason": ""}], 9.0, "not through after 9 s")
    assert (found.good, found.problem) == (False, "not through after 9 s")


@pytest.mark.slow
def test_the_plugin_writes_outcomes_as_they_come(tmp_path: Path) -> None:
    tests = tmp_path / "test_three.py"
    tests.write_text(
        "import pytest\ndef test_good(): pass\ndef test_bad(): assert 0\n"
        "@pytest.mark.skip('why')\ndef test_off(): pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.bench.gpu_results", "-c", "/dev/null", str(tests)]
    results = tmp_path / "results"
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "TEST_RESULTS": str(results)}
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    found = [line.split('"outcome": ')[1] for line in results.read_text().splitlines()]
    assert found == ['"passed", "reason": ""}', '"failed", "reason": ""}', '"skipped", "reason": "why"}']
